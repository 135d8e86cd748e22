// Requests to the server: server-sent events over fetch, so that a request can have a body and end.

export class ServerError extends Error {
  constructor(status, type, message) {
    super(message);
    this.status = status;
    this.type = type;
  }
}

const failure = async (response) => {
  let error = {};
  try {
    error = (await response.json()).error;
  } catch { /* no JSON: the status says it */ }
  return new ServerError(response.status, error.type, error.message ?? `status ${response.status}`);
};

const send = async (path, options) => {
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ServerError(0, "Network", "the server cannot be reached; is `bandtok serve` running?");
  }
  if (!response.ok) throw await failure(response);
  return response;
};

export const info = async () => (await send("v1/info")).json();

const address = (path, query) => {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== "") parameters.append(name, value);
  }
  return `${path}?${parameters}`;
};

/** Send a piece (bytes) with its settings and return the bytes of a file. */
export const file = async (path, query, body) =>
  new Uint8Array(await (await send(address(path, query), { method: "POST", body })).arrayBuffer());

/** Send a request and call `handle(name, data)` for each event; throws the error event. */
export const events = async (path, { json, query, body, signal }, handle) => {
  const options = json
    ? { body: JSON.stringify({ ...json, response_format: "events" }), headers: { "Content-Type": "application/json" } }
    : { body };
  const target = json ? path : address(path, { ...query, response_format: "events" });
  const response = await send(target, { method: "POST", signal, ...options });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let pending = []; // pieces without an end of an event: a clip of minutes comes in thousands
  let ended = false;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    const atSeam = value.startsWith("\n") && pending.at(-1)?.endsWith("\n");
    pending.push(value);
    if (!atSeam && !value.includes("\n\n")) continue;
    const blocks = pending.join("").split("\n\n");
    pending = [blocks.pop()];
    for (const block of blocks) {
      const [first, second] = block.split("\n");
      const name = first.slice("event: ".length);
      const data = JSON.parse(second.slice("data: ".length));
      if (name === "error") throw new ServerError(200, data.type, data.message);
      if (name === "done") ended = true;
      else handle(name, data);
    }
  }
  if (!ended) throw new ServerError(0, "Network", "the connection to the server ended early");
};

export const bytes = (base64) => {
  const text = atob(base64), found = new Uint8Array(text.length);
  for (let at = 0; at < found.length; at++) found[at] = text.charCodeAt(at);
  return found;
};
