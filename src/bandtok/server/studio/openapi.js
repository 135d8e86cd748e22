// A page of the server's OpenAPI description, without any library.

const page = document.getElementById("page");
const make = (name, text = "", ...children) => {
  const element = document.createElement(name);
  element.append(text, ...children);
  return element;
};

const kindOf = (schema = {}) => {
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.anyOf) return schema.anyOf.filter((one) => one.type !== "null").map(kindOf).join(" or ");
  if (schema.enum) return schema.enum.map((one) => JSON.stringify(one)).join(" | ");
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.type === "array") return `list of ${kindOf(schema.items)}`;
  return schema.format ?? schema.type ?? "any";
};

const row = (name, where, schema, required, description) => make("tr", "",
  make("td", "", make("code", name)), make("td", where), make("td", kindOf(schema)),
  make("td", required ? "required" : schema.default === undefined || schema.default === null ? "" : `default ${JSON.stringify(schema.default)}`),
  make("td", description ?? ""));

const operation = (path, method, one, schemas) => {
  const details = make("details", "", make("summary", "", make("b", method.toUpperCase()), make("code", path), make("span", one.description ?? "")));
  details.className = "panel";
  const rows = (one.parameters ?? []).map((parameter) => row(parameter.name, parameter.in, parameter.schema, parameter.required, parameter.schema.description));
  for (const [kind, content] of Object.entries(one.requestBody?.content ?? {})) {
    const schema = schemas[kindOf(content.schema)];
    if (!schema) rows.push(row("(body)", kind, content.schema, one.requestBody.required, one.requestBody.description));
    for (const [name, field] of Object.entries(schema?.properties ?? {})) {
      rows.push(row(name, "body", field, schema.required?.includes(name), field.description));
    }
  }
  if (rows.length) details.append(make("table", "", ...rows));
  return details;
};

const EXAMPLES = `curl -d '{"prompt": "a calm solo piano piece", "duration": 10}' -H 'Content-Type: application/json' \\
     ${location.origin}/v1/generate -o clip.wav
curl --data-binary @song.mp3 ${location.origin}/v1/encode -o song.btk
curl --data-binary @song.btk '${location.origin}/v1/edit?region=3-6s,2000-8000Hz&prompt=soft+bells' -o edited.wav`;

const description = await (await fetch("openapi.json")).json();
document.getElementById("version").textContent = description.info.version;
const groups = new Map();
for (const [path, methods] of Object.entries(description.paths)) {
  for (const [method, one] of Object.entries(methods)) {
    const tag = one.tags?.at(-1) ?? "other";
    groups.set(tag, [...groups.get(tag) ?? [], operation(path, method, one, description.components.schemas)]);
  }
}
page.replaceChildren(
  make("p", description.info.description.replaceAll("`", "")), make("pre", EXAMPLES),
  ...[...groups].flatMap(([tag, operations]) => [make("h2", tag), ...operations]),
);
