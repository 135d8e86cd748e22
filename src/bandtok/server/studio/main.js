// The studio: clips with versions, and what can be done with them.

import * as api from "./api.js";
import * as store from "./store.js";
import { Player, decodeFile, parseWav, writeWav } from "./audio.js";
import { View, levelsOf, showSeconds, tokenPicture } from "./draw.js";
import { Selector } from "./region.js";

const $ = (id) => document.getElementById(id);
const IDEAS = ["a calm solo piano piece", "fast techno with synthesizers", "slow ambient pads", "acoustic guitar and soft drums"];
const TOAST_MS = 8000;
const REDRAW_MS = 300; // of a growing clip: drawing takes time from the model on the same machine
const player = new Player();
let info, view, selector;
let clips = [];
let clip = null; // the one in the editor
let work = null; // { controller } of the request on its way
const sounds = new WeakMap(); // version -> { samples, rate }

// ---- versions and clips

const identify = () => crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`;
const versionOf = (one = clip) => one.versions.find((version) => version.id === one.current);
const parentOf = (version) => clip.versions.find((other) => other.id === version.parent);

const soundOf = (version) => {
  if (!sounds.has(version)) sounds.set(version, parseWav(version.audio));
  return sounds.get(version);
};

/** A version from the server's JSON. */
const received = (data, rest) => {
  const audio = api.bytes(data.audio), { samples, rate } = parseWav(audio);
  const { num_bands: bands, num_frames: frames, seconds, seed = null } = data;
  return {
    id: identify(), parent: null, region: null, prompt: "", loudness: null, settings: {}, ...rest,
    seed, seconds, bands, frames, audio, tokens: api.bytes(data.tokens), codes: Uint16Array.from(data.codes),
    levels: levelsOf(samples, rate, info.band_edges_hz, bands, frames),
  };
};

const addClip = (title, versions, take = false) => {
  const made = { id: identify(), title, created: Date.now() + clips.length / 1000, kept: false, take, versions, current: versions.at(-1).id, redo: [] };
  clips.unshift(made);
  for (const old of store.surplus(clips)) {
    clips.splice(clips.indexOf(old), 1);
    keep(store.remove(old.id));
  }
  keep(store.save(made));
  return made;
};

const keep = (saving) => saving.catch((error) => notify(`This browser did not save the clip: ${error.message}`));

const addVersions = (versions) => {
  clip.versions.push(...versions);
  clip.redo = [];
  choose(versions[0].id);
};

const choose = (id) => {
  clip.current = id;
  keep(store.save(clip));
  showVersion();
  showClips();
};

const undo = () => {
  const version = clip && versionOf();
  if (!version?.parent || work) return;
  clip.redo.push(version.id);
  choose(version.parent);
};

const redo = () => {
  const id = work ? null : clip?.redo.pop();
  if (id) choose(id);
};

// ---- showing

const notify = (text) => {
  $("notice").textContent = text;
  $("notice").hidden = !text;
};

const toast = (text, onUndo) => {
  $("toast").hidden = false;
  $("toast").firstElementChild.textContent = text;
  clearTimeout(toast.timer);
  toast.timer = setTimeout(() => { $("toast").hidden = true; }, TOAST_MS);
  $("toast").lastElementChild.onclick = () => {
    $("toast").hidden = true;
    onUndo();
  };
};

const showVersion = () => {
  $("empty").hidden = clip !== null;
  $("loaded").hidden = clip === null;
  if (!clip) return;
  const version = versionOf(), sound = soundOf(version);
  $("title").textContent = clip.title;
  view.mark = version.region;
  view.region = fitting(view.region, version);
  view.show({ ...version, samples: sound.samples, rate: sound.rate });
  selector.set(view.region);
  player.load(sound.samples, sound.rate);
  showVersions();
  showFacts(version);
  showButtons();
};

const fitting = (region, version) => (region && region.last <= version.frames && region.high <= version.bands ? region : null);

const showVersions = () => {
  const list = $("versions");
  list.replaceChildren();
  if (clip.versions.length < 2) return;
  clip.versions.forEach((version, index) => {
    const group = document.createElement("span"), button = document.createElement("button");
    button.type = "button";
    button.setAttribute("role", "radio");
    button.setAttribute("aria-checked", String(version.id === clip.current));
    button.tabIndex = version.id === clip.current ? 0 : -1;
    button.textContent = `${index + 1} ${version.label}`;
    button.title = [version.label, version.prompt].filter(Boolean).join(": ");
    button.onclick = () => choose(version.id);
    button.onkeydown = (event) => {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      choose(clip.versions.at((index + step) % clip.versions.length).id);
      $("versions").querySelector("[aria-checked=true]").focus();
    };
    group.append(button);
    if (version.parent && !clip.versions.some((other) => other.parent === version.id)) {
      const discard = document.createElement("button");
      discard.type = "button";
      discard.className = "discard";
      discard.textContent = "×";
      discard.setAttribute("aria-label", `Discard version ${index + 1}`);
      discard.onclick = () => discardVersion(version);
      group.append(discard);
    }
    list.append(group);
  });
};

const discardVersion = (version) => {
  const owner = clip, at = owner.versions.indexOf(version), current = owner.current;
  owner.versions.splice(at, 1);
  owner.redo = owner.redo.filter((id) => id !== version.id);
  choose(current === version.id ? version.parent : current);
  toast("Version discarded.", () => {
    owner.versions.splice(at, 0, version);
    open(owner);
    choose(current);
  });
};

const showFacts = (version) => {
  const bits = version.bands * version.frames * Math.log2(info.codebook_size);
  const rows = {
    Made: version.label, Prompt: version.prompt || "none", Seed: version.seed ?? "none",
    Length: `${version.seconds.toFixed(2)} s`,
    Tokens: `${version.bands} bands × ${version.frames} frames = ${(version.bands * version.frames).toLocaleString("en")}, ${(bits / version.seconds / 1000).toFixed(2)} kbit/s`,
    ...version.settings, Note: version.kind === "original" ? "as opened" : version.kind === "reconstruction" ? "decoded from its tokens" : "synthetic audio",
  };
  $("facts").replaceChildren(...Object.entries(rows).flatMap(([name, value]) => {
    const term = document.createElement("dt"), description = document.createElement("dd");
    term.textContent = name;
    description.textContent = value;
    return [term, description];
  }));
};

const showButtons = () => {
  const version = clip && versionOf(), region = view.region, parent = version && parentOf(version);
  $("undo").disabled = !parent || work !== null;
  $("redo").disabled = !clip?.redo.length || work !== null;
  $("compare").disabled = !parent;
  $("compare").textContent = "Before";
  $("compare").setAttribute("aria-pressed", "false");
  $("regenerate").disabled = !region || work !== null;
  $("clear").disabled = !region;
  $("generate").disabled = work !== null;
  $("file").disabled = work !== null;
  $("play").disabled = $("loop").disabled = !clip;
  for (const button of document.querySelectorAll("#continue-form button, #downloads button")) button.disabled = work !== null;
  if (version?.kind === "original") for (const button of document.querySelectorAll("#downloads [value=flac], #downloads [value=mp3]")) button.disabled = true;
};

const showRegion = () => {
  const { region, piece } = view;
  if (region) {
    const bands = region.high - region.low, frames = region.last - region.first;
    $("region-text").textContent = `${bands} bands × ${frames} frames: ${(bands * frames).toLocaleString("en")} of ${(piece.bands * piece.frames).toLocaleString("en")} tokens will be regenerated.`;
    player.region = [region.first / view.frameRate, Math.min(region.last / view.frameRate, piece.seconds)];
  } else {
    $("region-text").textContent = "Drag a rectangle on the grid, or type its limits.";
    player.region = null;
  }
  if (player.loop) player.refresh();
  showButtons();
};

const showClips = () => {
  $("no-clips").textContent = clips.length ? "Clips stay in this browser until you delete them." : "Clips will be listed here and stay in this browser.";
  $("clips").replaceChildren(...clips.map(clipItem));
};

const clipItem = (one) => {
  const version = versionOf(one), item = document.createElement("li"), pick = document.createElement("button");
  item.className = `clip${one === clip ? " open" : ""}${one.take ? " take" : ""}`;
  pick.className = "pick";
  pick.type = "button";
  if (one === clip) pick.setAttribute("aria-current", "true");
  const canvas = document.createElement("canvas"), image = tokenPicture(version.codes, version.bands, version.frames, version.levels);
  canvas.width = image.width;
  canvas.height = image.height;
  canvas.getContext("2d").drawImage(image, 0, 0);
  const name = document.createElement("span");
  name.className = "name";
  name.textContent = one.title;
  pick.append(canvas, name);
  pick.onclick = () => { open(one); player.play(0); };
  const more = document.createElement("div"), text = document.createElement("span");
  more.className = "more";
  text.textContent = [`${version.seconds.toFixed(1)} s`, one.versions.length > 1 && `${one.versions.length} versions`].filter(Boolean).join(" · ");
  const star = document.createElement("button");
  star.type = "button";
  star.textContent = one.kept ? "Kept ★" : "Keep";
  star.setAttribute("aria-pressed", String(one.kept));
  star.onclick = () => { one.kept = !one.kept; one.take = false; keep(store.save(one)); showClips(); };
  const drop = document.createElement("button");
  drop.type = "button";
  drop.textContent = one.take ? "Discard" : "Delete";
  drop.setAttribute("aria-label", `${drop.textContent} ${one.title}`);
  drop.onclick = () => removeClip(one);
  more.append(text, star, drop);
  item.append(pick, more);
  return item;
};

const removeClip = (one) => {
  const at = clips.indexOf(one);
  clips.splice(at, 1);
  keep(store.remove(one.id));
  if (clip === one) open(clips[Math.min(at, clips.length - 1)] ?? null);
  showClips();
  toast("Clip deleted.", () => {
    clips.splice(at, 0, one);
    keep(store.save(one));
    open(one);
  });
};

const open = (one) => {
  if (one !== clip) {
    player.pause();
    if (one) view.region = null;
  }
  clip = one;
  if (one) localStorage.setItem("clip", one.id);
  showVersion();
  if (one && !player.playing) player.seek(0);
  showClips();
};

// ---- work

/** Run one request with progress and cancel; `handle(name, data)` gets the other events. */
const perform = async (first, request, handle) => {
  const controller = new AbortController();
  work = { controller };
  notify("");
  $("work").hidden = false;
  $("work-text").textContent = first;
  $("work-steps").textContent = "";
  $("work-bar").removeAttribute("value");
  showButtons();
  const started = performance.now();
  try {
    await request(controller.signal, (name, data) => {
      if (name === "queued") $("work-text").textContent = data.position ? `Waiting: ${data.position} before this one` : first;
      if (name === "progress") {
        $("work-bar").max = data.total_steps;
        $("work-bar").value = data.step;
        $("work-steps").textContent = `${data.step} of ${data.total_steps}`;
      }
      handle(name, data, started);
    });
    return true;
  } catch (error) {
    if (error.name !== "AbortError") notify(error.message);
    return false;
  } finally {
    work = null;
    $("work").hidden = true;
    showButtons();
  }
};

const number = (id) => ($(id).value === "" ? null : Number($(id).value));
const text = (id) => $(id).value.trim() || null;

/** Tempo, meter and chords that the server made a clip with. */
const harmonyOf = ({ settings: { bpm = null, chords = null, meter = null } }) => ({ bpm, chords, meter });

const generate = async () => {
  const takes = Number($("takes").value), prompt = $("prompt").value.trim();
  const json = {
    prompt, duration: number("duration"), bpm: number("bpm"), key: text("key"), chords: text("chords"),
    guidance_scale: number("guidance"), num_candidates: number("candidates"), seed: number("seed"),
    num_samples: takes, loop: $("make-loop").checked, stream: takes === 1 && !$("make-loop").checked, store_prompt: $("store-prompt").checked, loudness_lufs: info.defaults.loudness_lufs,
  };
  player.prepare();
  const before = clip, made = [];
  const title = prompt || "Without a prompt", live = json.stream ? new Live(title, json.duration) : null;
  const done = await perform("Generating", (signal, handle) => api.events("v1/generate", { json, signal }, handle), (name, data, started) => {
    live?.take(name, data, started);
    if (name === "clip") {
      made.push(received(data, {
        kind: "generated", label: "Generated", prompt, loudness: json.loudness_lufs, ...harmonyOf(data),
        settings: {
          Tempo: json.bpm === null ? "automatic" : `${json.bpm} bpm`, ...(json.key && { Key: json.key }), ...(json.chords && { Chords: json.chords }),
          Guidance: json.guidance_scale ?? info.defaults.guidance_scale,
        },
      }));
    }
  });
  if (!done) {
    player.pause();
    open(before);
    return;
  }
  const added = made.map((version, index) => addClip(made.length > 1 ? `${title} (${index + 1})` : title, [version], made.length > 1));
  clip = added[0];
  localStorage.setItem("clip", clip.id);
  view.region = null;
  showVersion();
  showClips();
  if (!player.playing && !live?.heard) player.play(0);
};

/** A clip that grows while it is generated: its tokens appear, and its sound starts. */
class Live {
  #piece; #frame = 0; #sample = 0; heard = false;

  constructor(title, seconds) {
    const frames = Math.ceil(seconds * info.frame_rate - 1e-6), bands = info.num_bands;
    const codes = new Uint16Array(bands * frames).fill(0xffff), rate = info.sample_rate;
    this.#piece = { codes, bands, frames, seconds, rate, samples: new Float32Array(Math.round(seconds * rate)) };
    player.pause();
    player.seek(0);
    clip = null;
    $("empty").hidden = true;
    $("loaded").hidden = false;
    $("title").textContent = title;
    $("versions").replaceChildren();
    $("facts").replaceChildren();
    view.mark = view.region = null;
    view.showLive(this.#piece, true);
    view.setPlayhead(0);
    showClips();
  }

  take(name, data, started) {
    const { codes, bands, frames, samples } = this.#piece;
    if (name === "column" && this.#frame < frames) {
      for (let band = 0; band < bands; band++) codes[band * frames + this.#frame] = data.codes[band];
      this.#frame += 1;
      this.#redraw(false);
    }
    if (name === "audio") {
      const part = Float32Array.from(new Int16Array(api.bytes(data.samples).buffer), (value) => value / 32768);
      player.stream(part, data.sample_rate, 0);
      samples.set(part.subarray(0, Math.max(0, samples.length - this.#sample)), Math.min(this.#sample, samples.length));
      this.#sample += part.length;
      if (!this.heard) document.body.dataset.firstSoundMs = Math.round(performance.now() - started);
      this.heard = true;
      this.#redraw(true);
    }
  }

  #redraw(sound) {
    this.sounding ||= sound;
    this.timer ??= setTimeout(() => {
      if (view.piece === this.#piece) view.showLive(this.#piece, this.sounding);
      this.sounding = false;
      this.timer = null;
    }, REDRAW_MS);
  }
}

const edit = async () => {
  const parent = versionOf(), { region } = view, owner = clip;
  const prompt = $("edit-prompt").value.trim() || parent.prompt;
  const query = {
    region: selector.text(), prompt, seed: number("seed"), guidance_scale: number("guidance"),
    num_samples: $("edit-takes").value, loudness_lufs: parent.loudness, store_prompt: $("store-prompt").checked, key: text("key"),
  };
  const chords = text("chords") ?? parent.chords, bpm = parent.bpm ?? number("bpm");
  if (chords) Object.assign(query, { chords, bpm, meter: parent.meter });
  const made = [];
  await perform("Regenerating", (signal, handle) => api.events("v1/edit", { query, body: parent.tokens, signal }, handle), (name, data) => {
    if (name === "clip") made.push(received(data, { kind: "edit", label: "Edit", parent: parent.id, prompt, region, loudness: parent.loudness, bpm: parent.bpm, chords, meter: parent.meter }));
  });
  if (!made.length || clip !== owner) return;
  addVersions(made);
  const outside = changesOutside(parent, made[0], region), kept = parent.codes.length - (region.last - region.first) * (region.high - region.low);
  $("region-text").textContent = outside ? `${outside} tokens outside the region changed.` : `Done. The ${kept.toLocaleString("en")} tokens outside the region are unchanged.`;
  player.play(Math.max(0, region.first / view.frameRate - 0.5));
};

const changesOutside = (before, after, { first, last, low, high }) => {
  let count = 0;
  before.codes.forEach((code, at) => {
    const band = Math.floor(at / before.frames), frame = at % before.frames;
    const inside = frame >= first && frame < last && band >= low && band < high;
    if (!inside && code !== after.codes[at]) count += 1;
  });
  return count;
};

const extend = async (side) => {
  const parent = versionOf(), owner = clip, seconds = number("more");
  const query = { side, duration: seconds, prompt: parent.prompt, seed: number("seed"), guidance_scale: number("guidance"), loudness_lufs: parent.loudness, store_prompt: $("store-prompt").checked };
  if (side === "right") Object.assign(query, { bpm: number("bpm"), key: text("key"), chords: text("chords") });
  const made = [];
  await perform("Continuing", (signal, handle) => api.events("v1/continue", { query, body: parent.tokens, signal }, handle), (name, data) => {
    if (name !== "clip") return;
    const added = data.num_frames - parent.frames;
    const region = { first: side === "left" ? 0 : parent.frames, last: side === "left" ? added : data.num_frames, low: 0, high: data.num_bands };
    const label = side === "left" ? `+${seconds} s before` : `+${seconds} s after`;
    made.push(received(data, { kind: "continued", label, parent: parent.id, prompt: parent.prompt, region, loudness: parent.loudness }));
  });
  if (!made.length || clip !== owner) return;
  view.region = null;
  addVersions(made);
  player.play(side === "left" ? 0 : Math.max(0, parent.seconds - 1));
};

const openFile = async (file) => {
  const limit = info.limits.max_upload_bytes;
  if (file.size > limit) {
    notify(`${file.name} has ${(file.size / 2 ** 20).toFixed(1)} MiB; at most ${(limit / 2 ** 20).toFixed(0)} MiB can be opened.`);
    return;
  }
  const isTokens = file.name.toLowerCase().endsWith(".btk"), body = await file.arrayBuffer(), made = [];
  const path = isTokens ? "v1/decode" : "v1/reconstruct", doing = isTokens ? "Decoding" : "Encoding and decoding";
  await perform(doing, (signal, handle) => api.events(path, { query: {}, body, signal }, handle), (name, data) => {
    if (name === "clip") made.push(received(data, { kind: isTokens ? "tokens" : "reconstruction", label: isTokens ? "Decoded" : "Reconstruction" }));
  });
  if (!made.length) return;
  const versions = made;
  if (!isTokens) {
    try {
      const audio = writeWav(await decodeFile(body, info.sample_rate), info.sample_rate);
      const original = { ...made[0], id: identify(), kind: "original", label: "Original", audio };
      made[0].parent = original.id;
      versions.unshift(original);
    } catch {
      notify("This browser cannot play the original; its reconstruction is shown alone.");
    }
  }
  view.region = null;
  open(addClip(file.name, versions));
};

const save = async (suffix) => {
  const version = versionOf();
  let content = suffix === "wav" ? version.audio : version.tokens;
  try {
    if (suffix !== "wav" && suffix !== "btk") {
      content = await api.file("v1/decode", { response_format: suffix, loudness_lufs: version.loudness }, version.tokens);
    }
  } catch (error) {
    notify(error.message);
    return;
  }
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([content]));
  const name = clip.title.replace(/\.\w{2,4}$/, "").toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "").slice(0, 60);
  link.download = `${name || "bandtok"}.${suffix}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
};

// ---- transport

const compare = () => {
  const version = clip && versionOf(), parent = version && parentOf(version);
  if (!parent) return;
  const before = $("compare").getAttribute("aria-pressed") !== "true", shown = before ? parent : version, sound = soundOf(shown);
  $("compare").setAttribute("aria-pressed", String(before));
  view.show({ ...shown, samples: sound.samples, rate: sound.rate });
  player.load(sound.samples, sound.rate);
};

const togglePlay = () => (player.playing ? player.pause() : player.play());

const toggleLoop = () => {
  player.loop = !player.loop;
  $("loop").setAttribute("aria-pressed", String(player.loop));
  player.refresh();
};

const tick = () => {
  if (view?.piece) {
    const { position } = player;
    if (position !== view.playhead) view.setPlayhead(position);
    const clock = `${showSeconds(position)} / ${showSeconds(view.piece.seconds)}`;
    if ($("clock").textContent !== clock) $("clock").textContent = clock;
  }
  if (player.playing) requestAnimationFrame(tick);
};

player.addEventListener("change", () => {
  $("play").textContent = player.playing ? "Pause" : "Play";
  $("play").setAttribute("aria-pressed", String(player.playing));
  tick();
});

// ---- start

const THEMES = ["auto", "light", "dark"];
const setTheme = (theme) => {
  document.documentElement.dataset.theme = theme;
  $("theme").textContent = `Theme: ${theme}`;
  $("theme").setAttribute("aria-label", `Color theme: ${theme === "auto" ? "automatic" : theme}`);
  localStorage.setItem("theme", theme);
};

const onKey = (event) => {
  const typing = event.target.closest("input:not([type=range]), textarea, select");
  const control = event.ctrlKey || event.metaKey;
  if (event.key === "Escape") {
    if (work) work.controller.abort();
    else if (view?.region) selector.set(null);
  } else if (control && event.key === "Enter" && !work) $("generate-form").requestSubmit();
  else if (typing) return;
  else if (control && event.key.toLowerCase() === "z") {
    event.preventDefault();
    if (event.shiftKey) redo(); else undo();
  } else if (control || event.altKey || !clip) return;
  else if (event.key === " " && !event.target.closest("button, summary, a")) {
    event.preventDefault();
    togglePlay();
  } else if (event.key.toLowerCase() === "l") toggleLoop();
  else if (event.key.toLowerCase() === "b") compare();
  else if (/^[1-9]$/.test(event.key) && clip.versions[event.key - 1]) choose(clip.versions[event.key - 1].id);
};

const connect = () => {
  const submit = (id, act) => $(id).addEventListener("submit", (event) => {
    event.preventDefault();
    if (!work) act(event);
  });
  submit("generate-form", generate);
  submit("edit-form", edit);
  submit("continue-form", (event) => extend(event.submitter?.value || "right"));
  $("cancel").onclick = () => work?.controller.abort();
  $("undo").onclick = undo;
  $("redo").onclick = redo;
  $("play").onclick = togglePlay;
  $("loop").onclick = toggleLoop;
  $("compare").onclick = compare;
  $("clear").onclick = () => selector.set(null);
  $("zoom-in").onclick = () => view.zoom(2);
  $("zoom-out").onclick = () => view.zoom(0.5);
  $("volume").oninput = () => { player.volume = Number($("volume").value); };
  $("theme").onclick = () => setTheme(THEMES[(THEMES.indexOf(document.documentElement.dataset.theme) + 1) % THEMES.length]);
  for (const button of $("downloads").children) button.onclick = () => save(button.value);
  $("file").onchange = () => {
    if ($("file").files[0]) openFile($("file").files[0]);
    $("file").value = "";
  };
  for (const name of ["dragenter", "dragover", "dragleave", "drop"]) {
    document.addEventListener(name, (event) => {
      event.preventDefault();
      $("drop").classList.toggle("over", name === "dragover" || name === "dragenter");
      if (name === "drop" && event.dataTransfer.files[0] && !work) openFile(event.dataTransfer.files[0]);
    });
  }
  document.addEventListener("keydown", onKey);
  $("ideas").append(...IDEAS.map((text) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = text;
    button.onclick = () => { $("prompt").value = text; $("prompt").focus(); };
    return button;
  }));
};

const start = async () => {
  setTheme(localStorage.getItem("theme") ?? "auto");
  try {
    info = await api.info();
  } catch (error) {
    notify(error.message);
    return;
  }
  $("model").textContent = `${info.model} · ${info.num_bands} bands · ${info.frame_rate.toFixed(1)} frames/s`;
  $("duration").max = info.limits.max_duration_seconds;
  const canvases = Object.fromEntries(["axis", "scroll", "lanes", "wave", "spectrum", "tokens", "times", "overlay", "playhead"].map((id) => [id, $(id)]));
  view = new View(canvases, info);
  selector = new Selector(view, $("overlay"), { from: $("from"), to: $("to"), low: $("low"), high: $("high") }, showRegion, (seconds) => player.seek(seconds));
  connect();
  try {
    clips = await store.load();
  } catch {
    notify("This browser keeps no clips (private window?); they last until the page is closed.");
  }
  open(clips.find((one) => one.id === localStorage.getItem("clip")) ?? clips[0] ?? null);
  document.body.dataset.ready = "true";
};

start();
