// Selecting a region: by dragging on the overlay, by keys, and by the four fields.

const EDGE_PIXELS = 7, CLICK_PIXELS = 4;

export class Selector {
  #view; #overlay; #fields; #onChange; #onSeek; #drag = null;

  /** `fields` are the inputs from, to, low, high; `onChange()` follows each change. */
  constructor(view, overlay, fields, onChange, onSeek) {
    this.#view = view;
    this.#overlay = overlay;
    this.#fields = fields;
    this.#onChange = onChange;
    this.#onSeek = onSeek;
    overlay.addEventListener("pointerdown", (event) => this.#down(event));
    overlay.addEventListener("pointermove", (event) => this.#move(event));
    overlay.addEventListener("pointerup", (event) => this.#up(event));
    overlay.addEventListener("pointercancel", () => { this.#drag = null; });
    overlay.addEventListener("keydown", (event) => this.#key(event));
    for (const name of Object.keys(fields)) fields[name].addEventListener("change", () => this.#typed(name));
  }

  get region() { return this.#view.region; }

  set(region) {
    this.#view.region = region;
    this.#fill();
    this.#view.drawOverlay();
    this.#onChange();
  }

  /** The region as the server reads it; inside its bands, so that none more is touched. */
  text() {
    const { first, last, low, high } = this.region, { edges, frameRate, piece } = this.#view;
    const inner = (band, share) => (edges[band] + share * (edges[band + 1] - edges[band])).toFixed(2);
    const time = `${(first / frameRate).toFixed(9)}-${last >= piece.frames ? "" : (last / frameRate).toFixed(9)}`;
    if (low === 0 && high === piece.bands) return time;
    return `${time},${low ? inner(low, 0.25) : 0}-${high < piece.bands ? inner(high - 1, 0.75) : ""}`;
  }

  #point(event) {
    const box = this.#overlay.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  }

  #down(event) {
    if (event.button) return;
    this.#overlay.setPointerCapture(event.pointerId);
    const point = this.#point(event), cell = this.#view.cellAt(point.x, point.y);
    this.#drag = { ...this.#part(point, cell), point, cell, before: this.region };
  }

  /** Which part of the region is under the pointer: its inside, an end in time, or nothing. */
  #part(point, cell) {
    const { region } = this;
    if (!region || cell.lane === "wave") return { kind: "new" };
    const width = this.#overlay.clientWidth, span = this.#view.piece.seconds * this.#view.frameRate;
    const left = region.first / span * width, right = region.last / span * width;
    const inBands = cell.band >= region.low && cell.band < region.high;
    if (inBands && Math.abs(point.x - left) < EDGE_PIXELS) return { kind: "first" };
    if (inBands && Math.abs(point.x - right) < EDGE_PIXELS) return { kind: "last" };
    return { kind: inBands && point.x > left && point.x < right ? "all" : "new" };
  }

  #move(event) {
    const point = this.#point(event), cell = this.#view.cellAt(point.x, point.y);
    if (!this.#drag) {
      const { kind } = this.#part(point, cell);
      this.#overlay.style.cursor = { all: "move", first: "ew-resize", last: "ew-resize" }[kind] ?? "crosshair";
      return;
    }
    const { kind, point: start, cell: from, before } = this.#drag;
    if (Math.hypot(point.x - start.x, point.y - start.y) < CLICK_PIXELS && this.region === before) return;
    const { bands, frames } = this.#view.piece;
    if (kind === "new") {
      const whole = from.lane === "wave";
      const to = cell.lane === from.lane ? cell.band : cell.lane === "wave" || (cell.lane === "spectrum" && from.lane === "tokens") ? bands - 1 : 0;
      this.set({
        first: Math.min(from.frame, cell.frame), last: Math.max(from.frame, cell.frame) + 1,
        low: whole ? 0 : Math.min(from.band, to), high: whole ? bands : Math.max(from.band, to) + 1,
      });
    } else if (kind === "all") {
      this.set(moved(before, cell.frame - from.frame, cell.lane === from.lane ? cell.band - from.band : 0, frames, bands));
    } else if (kind === "first") {
      this.set({ ...before, first: Math.min(cell.frame, before.last - 1) });
    } else {
      this.set({ ...before, last: Math.max(cell.frame + 1, before.first + 1) });
    }
  }

  #up(event) {
    const drag = this.#drag;
    this.#drag = null;
    if (!drag) return;
    const point = this.#point(event);
    if (Math.hypot(point.x - drag.point.x, point.y - drag.point.y) < CLICK_PIXELS && this.region === drag.before) {
      this.#onSeek(this.#view.secondsAt(point.x));
    }
  }

  #key(event) {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    if (!step || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    const { bands, frames } = this.#view.piece;
    const start = Math.min(frames - 1, Math.floor(this.#view.playhead * this.#view.frameRate));
    const region = this.region ?? { first: start, last: Math.min(start + 10, frames), low: 0, high: bands };
    if (!this.region) this.set(region);
    else if (event.shiftKey) {
      this.set({
        ...region,
        last: Math.max(region.first + 1, Math.min(frames, region.last + step[0])),
        high: Math.max(region.low + 1, Math.min(bands, region.high + step[1])),
      });
    } else this.set(moved(region, step[0], step[1], frames, bands));
  }

  /** Take the field that was typed in; the others keep what they stand for. */
  #typed(name) {
    if (Object.values(this.#fields).every((field) => !field.value)) {
      this.set(null);
      return;
    }
    const { frameRate, piece: { frames, bands } } = this.#view, { value } = this.#fields[name];
    const region = { ...this.region ?? { first: 0, last: frames, low: 0, high: bands } };
    const number = Number(value), slack = 1e-3;
    if (name === "from") region.first = Math.floor(number * frameRate + slack);
    if (name === "to") region.last = value ? Math.ceil(number * frameRate - slack) : frames;
    if (name === "low") region.low = Math.floor(this.#view.bandOf(number) + slack);
    if (name === "high") region.high = value ? Math.ceil(this.#view.bandOf(number) - slack) : bands;
    region.first = Math.max(0, Math.min(frames - 1, region.first));
    region.low = Math.max(0, Math.min(bands - 1, region.low));
    region.last = Math.max(region.first + 1, Math.min(frames, region.last));
    region.high = Math.max(region.low + 1, Math.min(bands, region.high));
    this.set(region);
  }

  #fill() {
    const { from, to, low, high } = this.#fields, { edges, frameRate, piece } = this.#view, { region } = this;
    from.value = region ? (region.first / frameRate).toFixed(2) : "";
    to.value = region ? Math.min(region.last / frameRate, piece.seconds).toFixed(2) : "";
    low.value = region && region.low ? Math.round(edges[region.low]) : "";
    high.value = region && region.high < piece.bands ? Math.round(edges[region.high]) : "";
  }
}

const moved = (region, frames, bands, mostFrames, mostBands) => {
  const right = Math.max(-region.first, Math.min(mostFrames - region.last, frames));
  const up = Math.max(-region.low, Math.min(mostBands - region.high, bands));
  return { first: region.first + right, last: region.last + right, low: region.low + up, high: region.high + up };
};
