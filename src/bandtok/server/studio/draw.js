// Waveform, spectrogram and token grid on one time axis; rows of the last two are the model's bands.

const FFT_SIZE = 2048, ROWS_PER_BAND = 8, MOST_COLUMNS = 2400, RANGE_DB = 72;
const GAP = 8;
export const HEIGHTS = { wave: 56, spectrum: 176, tokens: 176, times: 24 };
const SPECTRUM_TOP = HEIGHTS.wave + GAP, TOKENS_TOP = SPECTRUM_TOP + HEIGHTS.spectrum + GAP;
const VIEW_HEIGHT = TOKENS_TOP + HEIGHTS.tokens;
const TEXT = "#a5a2b3", UNKNOWN = 0xffff;
const TICKS_HZ = [200, 500, 1000, 2000, 4000, 8000, 16000];
// magma: Smith and van der Walt (2015), CC0; 9 points, linear between them.
const MAGMA = ["000004", "1c1046", "4f127b", "812581", "b63679", "e65162", "fb8861", "fec488", "fcfdbf"]
  .map((hex) => [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16)));

const magma = (value) => {
  const at = Math.max(0, Math.min(1, value)) * (MAGMA.length - 1), low = Math.min(Math.floor(at), MAGMA.length - 2);
  return MAGMA[low].map((from, index) => from + (at - low) * (MAGMA[low + 1][index] - from));
};
const MAGMA_TABLE = Array.from({ length: 256 }, (_, index) => magma(index / 255));

const window_ = Float32Array.from({ length: FFT_SIZE }, (_, index) => 0.5 - 0.5 * Math.cos(2 * Math.PI * index / FFT_SIZE));
const cosines = Float64Array.from({ length: FFT_SIZE / 2 }, (_, index) => Math.cos(2 * Math.PI * index / FFT_SIZE));
const sines = Float64Array.from({ length: FFT_SIZE / 2 }, (_, index) => -Math.sin(2 * Math.PI * index / FFT_SIZE));
const reversed = new Uint16Array(FFT_SIZE);
for (let index = 0, bits = Math.log2(FFT_SIZE); index < FFT_SIZE; index++) {
  reversed[index] = (reversed[index >> 1] >> 1) | ((index & 1) << (bits - 1));
}

/** In-place transform of `real`, `imaginary`, given in bit-reversed order (radix 2). */
const transform = (real, imaginary) => {
  for (let half = 1; half < FFT_SIZE; half *= 2) {
    const stride = FFT_SIZE / 2 / half;
    for (let start = 0; start < FFT_SIZE; start += 2 * half) {
      for (let index = 0; index < half; index++) {
        const one = start + index, other = one + half, c = cosines[index * stride], s = sines[index * stride];
        const a = real[other] * c - imaginary[other] * s, b = real[other] * s + imaginary[other] * c;
        real[other] = real[one] - a; imaginary[other] = imaginary[one] - b;
        real[one] += a; imaginary[one] += b;
      }
    }
  }
};

/** Levels in dB, lowest row first: { columns, rows, db }; each band has ROWS_PER_BAND rows. */
const spectrogram = (samples, rate, edges) => {
  const hop = Math.max(512, Math.ceil(samples.length / MOST_COLUMNS));
  const columns = Math.max(1, Math.floor(samples.length / hop)), rows = (edges.length - 1) * ROWS_PER_BAND;
  const db = new Float32Array(rows * columns);
  const real = new Float64Array(FFT_SIZE), imaginary = new Float64Array(FFT_SIZE);
  const bins = Array.from({ length: rows + 1 }, (_, row) => {
    const band = Math.min(Math.floor(row / ROWS_PER_BAND), edges.length - 2), part = row / ROWS_PER_BAND - band;
    return (edges[band] + part * (edges[band + 1] - edges[band])) * FFT_SIZE / rate;
  });
  for (let column = 0; column < columns; column++) {
    const first = Math.round((column + 0.5) * hop) - FFT_SIZE / 2;
    for (let index = 0; index < FFT_SIZE; index++) {
      real[reversed[index]] = (samples[first + index] ?? 0) * window_[index];
    }
    imaginary.fill(0);
    transform(real, imaginary);
    for (let row = 0; row < rows; row++) {
      const low = Math.min(Math.round(bins[row]), FFT_SIZE / 2), high = Math.max(low + 1, Math.round(bins[row + 1]));
      let power = 0;
      for (let bin = low; bin < high; bin++) power = Math.max(power, real[bin] ** 2 + imaginary[bin] ** 2);
      db[row * columns + column] = 10 * Math.log10(power + 1e-9);
    }
  }
  return { columns, rows, db };
};

const picture = (width, height) => {
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(width, 1);
  canvas.height = Math.max(height, 1);
  const context = canvas.getContext("2d");
  return { canvas, context, image: context.createImageData(canvas.width, canvas.height) };
};

const spectrumPicture = ({ columns, rows, db }) => {
  const { canvas, context, image } = picture(columns, rows);
  let top = -200;
  for (const value of db) if (value > top) top = value;
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const level = 1 + (db[row * columns + column] - top) / RANGE_DB;
      const color = MAGMA_TABLE[Math.max(0, Math.min(255, Math.round(255 * level)))];
      image.data.set([...color, 255], 4 * ((rows - 1 - row) * columns + column));
    }
  }
  context.putImageData(image, 0, 0);
  return canvas;
};

/** Mean level of each token's cell in [0, 1]. */
const cellLevels = (spectrum, bands, frames) => {
  const { columns, db } = spectrum, levels = new Float32Array(bands * frames);
  let top = -200;
  for (const value of db) if (value > top) top = value;
  for (let band = 0; band < bands; band++) {
    for (let frame = 0; frame < frames; frame++) {
      const first = Math.floor(frame * columns / frames), last = Math.max(first + 1, Math.floor((frame + 1) * columns / frames));
      let sum = 0;
      for (let row = band * ROWS_PER_BAND; row < (band + 1) * ROWS_PER_BAND; row++) {
        for (let column = first; column < last; column++) sum += db[row * columns + column];
      }
      levels[band * frames + frame] = Math.max(0, Math.min(1, 1 + (sum / ROWS_PER_BAND / (last - first) - top) / RANGE_DB));
    }
  }
  return levels;
};

export const levelsOf = (samples, rate, edges, bands, frames) =>
  cellLevels(spectrogram(samples, rate, edges), bands, frames);

const hue = (code) => (code * 137.508) % 360; // golden angle: near codes look different
const rgb = (h, s, l) => [0, 8, 4].map((n) => {
  const k = (n + h / 30) % 12;
  return 255 * (l - s * Math.min(l, 1 - l) * Math.max(-1, Math.min(k - 3, 9 - k, 1)));
});

/** One pixel per token: the code is the hue, the level of its sound the lightness. */
export const tokenPicture = (codes, bands, frames, levels = null) => {
  const { canvas, context, image } = picture(frames, bands);
  for (let band = 0; band < bands; band++) {
    for (let frame = 0; frame < frames; frame++) {
      const at = band * frames + frame, code = codes[at];
      const light = levels ? 0.1 + 0.66 * levels[at] ** 1.2 : 0.42;
      const color = code === UNKNOWN ? [30, 28, 42] : rgb(hue(code), 0.52, light);
      image.data.set([...color, 255], 4 * ((bands - 1 - band) * frames + frame));
    }
  }
  context.putImageData(image, 0, 0);
  return canvas;
};

export const showSeconds = (seconds) =>
  `${Math.floor(seconds / 60)}:${(seconds % 60).toFixed(1).padStart(4, "0")}`;

export class View {
  playhead = 0; // seconds
  #canvases; #info; #piece = null; #zoom = 1; #width = 1; #spectrum = null; #tokens = null;
  region = null; // { first, last } frames and { low, high } bands, the ends exclusive
  mark = null; // the region that made this version

  constructor(canvases, info) {
    this.#canvases = canvases;
    this.#info = info;
    new ResizeObserver(() => this.draw()).observe(canvases.scroll);
  }

  get piece() { return this.#piece; }
  get frameRate() { return this.#info.frame_rate; }
  get edges() { return this.#info.band_edges_hz; }

  /** Show { codes, bands, frames, seconds, samples, rate }. */
  show(piece) {
    this.#piece = piece;
    const spectrum = spectrogram(piece.samples, piece.rate, this.edges);
    this.#spectrum = spectrumPicture(spectrum);
    this.#tokens = tokenPicture(piece.codes, piece.bands, piece.frames, cellLevels(spectrum, piece.bands, piece.frames));
    this.draw();
  }

  /** Show a piece that is being generated: again its sound, if that has grown, and its tokens. */
  showLive(piece, sound) {
    this.#piece = piece;
    if (sound) this.#spectrum = spectrumPicture(spectrogram(piece.samples, piece.rate, this.edges));
    this.#tokens = tokenPicture(piece.codes, piece.bands, piece.frames);
    this.draw();
  }

  zoom(factor) {
    this.#zoom = Math.max(1, Math.min(8, this.#zoom * factor));
    this.#canvases.lanes.style.width = `${100 * this.#zoom}%`;
    this.draw();
  }

  /** Frames along the whole width: a last frame may be cut off by the clip's end. */
  get #span() { return this.#piece.seconds * this.frameRate; }

  /** The cell under a point of the overlay, in CSS pixels; `lane` is wave, spectrum or tokens. */
  cellAt(x, y) {
    const width = this.#canvases.overlay.clientWidth;
    const frame = Math.max(0, Math.min(this.#piece.frames - 1, Math.floor(x / width * this.#span)));
    const lane = y < SPECTRUM_TOP ? "wave" : y < TOKENS_TOP ? "spectrum" : "tokens";
    const top = lane === "tokens" ? TOKENS_TOP : SPECTRUM_TOP, { bands } = this.#piece;
    const band = Math.floor((1 - (y - top) / HEIGHTS.tokens) * bands);
    return { frame, band: Math.max(0, Math.min(bands - 1, band)), lane };
  }

  secondsAt(x) {
    return Math.max(0, Math.min(1, x / this.#canvases.overlay.clientWidth)) * this.#piece.seconds;
  }

  draw() {
    if (!this.#piece) return;
    this.#drawWave();
    this.#drawImage(this.#canvases.spectrum, HEIGHTS.spectrum, this.#spectrum, true, this.#piece.seconds);
    this.#drawImage(this.#canvases.tokens, HEIGHTS.tokens, this.#tokens, false, this.#piece.frames / this.frameRate);
    this.#drawTimes();
    this.#drawAxis();
    this.drawOverlay();
  }

  #context(canvas, height) {
    const ratio = Math.min(window.devicePixelRatio || 1, 2), width = canvas.clientWidth;
    const size = [Math.max(1, Math.round(width * ratio)), Math.round(height * ratio)];
    if (canvas.width !== size[0] || canvas.height !== size[1]) [canvas.width, canvas.height] = size;
    const context = canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    return { context, width };
  }

  #drawImage(canvas, height, image, smooth, seconds) {
    const { context, width } = this.#context(canvas, height);
    if (!image) return;
    context.imageSmoothingEnabled = smooth;
    context.drawImage(image, 0, 0, width * seconds / this.#piece.seconds, height);
  }

  #drawWave() {
    const { context, width } = this.#context(this.#canvases.wave, HEIGHTS.wave), { samples } = this.#piece;
    const middle = HEIGHTS.wave / 2;
    context.fillStyle = "#8d83d8";
    for (let x = 0; x < width; x++) {
      const first = Math.floor(x * samples.length / width), last = Math.max(first + 1, Math.floor((x + 1) * samples.length / width));
      let low = 0, high = 0;
      for (let at = first; at < last; at++) {
        if (samples[at] < low) low = samples[at]; else if (samples[at] > high) high = samples[at];
      }
      context.fillRect(x, middle - middle * high, 1, Math.max(1, middle * (high - low)));
    }
    this.#drawChords(context, width);
  }

  #drawChords(context, width) {
    const { bpm, chords, meter, seconds } = this.#piece;
    if (!bpm || !chords) return;
    const names = chords.split(/[\s,|]+/).filter(Boolean), bar = parseInt(meter ?? "4") * 60 / bpm;
    context.font = "11px system-ui, sans-serif";
    context.textBaseline = "top";
    context.fillStyle = TEXT;
    for (let at = 0; at * bar < seconds && bar / seconds * width > 16; at++) {
      context.fillText(names[at % names.length], at * bar / seconds * width + 3, 2);
    }
  }

  #drawTimes() {
    const { context, width } = this.#context(this.#canvases.times, HEIGHTS.times), { seconds } = this.#piece;
    context.font = "11px system-ui, sans-serif";
    context.textBaseline = "top";
    const { bpm } = this.#piece; // beats, if the tempo is known; the first is at the beginning
    for (let beat = 0; bpm && beat * 60 / bpm < seconds && 60 / bpm / seconds * width > 3; beat++) {
      context.fillStyle = beat % 4 ? "#57b8a888" : "#57b8a8";
      context.fillRect(beat * 60 / bpm / seconds * width, 0, 1.5, beat % 4 ? 3 : 7);
    }
    const steps = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120];
    const step = steps.find((one) => one / seconds * width >= 56) ?? 300;
    for (let tick = 0; tick <= seconds + 1e-6; tick += step) {
      const x = tick / seconds * width;
      context.fillStyle = "#4a4759";
      context.fillRect(Math.min(x, width - 1), 0, 1, 5);
      const text = `${Number(tick.toFixed(1))} s`, size = context.measureText(text).width;
      context.fillStyle = TEXT;
      context.fillText(text, Math.max(0, Math.min(x - size / 2, width - size)), 8);
    }
  }

  /** Bands (fractional) below a frequency. */
  bandOf(hertz) {
    const { edges } = this;
    for (let band = 0; band < edges.length - 1; band++) {
      if (hertz < edges[band + 1]) return band + (hertz - edges[band]) / (edges[band + 1] - edges[band]);
    }
    return edges.length - 1;
  }

  #drawAxis() {
    const { context, width } = this.#context(this.#canvases.axis, VIEW_HEIGHT + HEIGHTS.times);
    context.font = "11px system-ui, sans-serif";
    context.fillStyle = TEXT;
    context.textAlign = "right";
    context.textBaseline = "middle";
    for (const top of [SPECTRUM_TOP, TOKENS_TOP]) {
      let last = Infinity;
      for (const hertz of TICKS_HZ) {
        const y = top + HEIGHTS.tokens * (1 - this.bandOf(hertz) / (this.edges.length - 1));
        if (y < top + 20 || last - y < 16) continue;
        last = y;
        context.fillText(hertz < 1000 ? hertz : `${hertz / 1000}k`, width - 6, y);
      }
      context.fillText("Hz", width - 6, top + 7);
    }
  }

  /** Move the playhead, an element of its own: redrawing a canvas for it takes time from the model. */
  setPlayhead(seconds) {
    this.playhead = seconds;
    const x = seconds / this.#piece.seconds * this.#width;
    this.#canvases.playhead.style.transform = `translateX(${Math.round(2 * x) / 2 - 1}px)`;
  }

  /** Draw the regions. */
  drawOverlay() {
    const { context, width } = this.#context(this.#canvases.overlay, VIEW_HEIGHT);
    this.#width = width;
    this.setPlayhead(this.playhead);
    if (this.mark) this.#outline(context, width, this.mark, [4, 3], "rgb(255 255 255 / .75)", null);
    if (this.region) this.#outline(context, width, this.region, [], "#fff", "rgb(255 255 255 / .1)");  }

  #outline(context, width, { first, last, low, high }, dashes, stroke, fill) {
    const { bands } = this.#piece;
    const x = first / this.#span * width, right = Math.min(last / this.#span, 1) * width;
    context.setLineDash(dashes);
    context.lineWidth = 1.5;
    for (const top of [SPECTRUM_TOP, TOKENS_TOP]) {
      const y = top + (1 - high / bands) * HEIGHTS.tokens, height = (high - low) / bands * HEIGHTS.tokens;
      if (fill) {
        context.fillStyle = fill;
        context.fillRect(x, y, right - x, height);
      }
      context.strokeStyle = "rgb(0 0 0 / .6)";
      context.strokeRect(x - 1, y - 1, right - x + 2, height + 2);
      context.strokeStyle = stroke;
      context.strokeRect(x + 0.5, y + 0.5, right - x - 1, height - 1);
    }
    context.fillStyle = fill ?? "rgb(255 255 255 / .08)";
    context.fillRect(x, 0, right - x, HEIGHTS.wave);
    context.setLineDash([]);
  }
}
