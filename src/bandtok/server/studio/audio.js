// WAV files to samples, and a player that switches versions without losing its place.

/** Read a mono or stereo WAV of 16 or 24 bits: { samples: Float32Array (mean of channels), rate }. */
export const parseWav = (bytes) => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const name = (at) => String.fromCharCode(...bytes.subarray(at, at + 4));
  let channels = 1, rate = 44100, bits = 16;
  for (let at = 12; at + 8 <= bytes.length;) {
    const size = view.getUint32(at + 4, true), start = at + 8;
    if (name(at) === "fmt ") {
      channels = view.getUint16(start + 2, true);
      rate = view.getUint32(start + 4, true);
      bits = view.getUint16(start + 14, true);
    } else if (name(at) === "data") {
      const width = bits / 8, count = Math.floor(Math.min(size, bytes.length - start) / width / channels);
      const samples = new Float32Array(count);
      for (let index = 0, from = start; index < count; index++) {
        let sum = 0;
        for (let channel = 0; channel < channels; channel++, from += width) {
          sum += bits === 24
            ? (view.getUint16(from, true) + view.getInt8(from + 2) * 65536) / 8388608
            : view.getInt16(from, true) / 32768;
        }
        samples[index] = sum / channels;
      }
      return { samples, rate };
    }
    at = start + size + size % 2;
  }
  throw new Error("this is no WAV file");
};

/** Write a mono WAV of 16 bits. */
export const writeWav = (samples, rate) => {
  const bytes = new Uint8Array(44 + 2 * samples.length);
  const view = new DataView(bytes.buffer);
  const text = (at, value) => [...value].forEach((sign, index) => { bytes[at + index] = sign.charCodeAt(0); });
  text(0, "RIFF"); view.setUint32(4, 36 + 2 * samples.length, true); text(8, "WAVEfmt ");
  view.setUint32(16, 16, true); view.setUint16(20, 1, true); view.setUint16(22, 1, true);
  view.setUint32(24, rate, true); view.setUint32(28, 2 * rate, true);
  view.setUint16(32, 2, true); view.setUint16(34, 16, true);
  text(36, "data"); view.setUint32(40, 2 * samples.length, true);
  samples.forEach((value, index) => view.setInt16(44 + 2 * index, Math.round(Math.max(-1, Math.min(1, value)) * 32767), true));
  return bytes;
};

/** Decode any audio file that the browser knows, as mono at `rate`. */
export const decodeFile = async (buffer, rate) => {
  const found = await new OfflineAudioContext(1, 1, rate).decodeAudioData(buffer);
  const offline = new OfflineAudioContext(1, Math.max(found.length, 1), rate);
  const source = new AudioBufferSourceNode(offline, { buffer: found });
  source.connect(offline.destination);
  source.start();
  return (await offline.startRendering()).getChannelData(0);
};

const FADE_SECONDS = 0.012;

export class Player extends EventTarget {
  #context; #volume; #source = null; #fade = null; #buffer = null; #startedAt = 0; #offset = 0;
  #next = 0; #streamed = []; #streamedAt = 0; #level = 0.8;
  loop = false;
  region = null; // [from, to] in seconds that a loop is limited to

  #wake() {
    if (!this.#context) {
      this.#context = new AudioContext();
      this.#volume = new GainNode(this.#context, { gain: this.#level });
      this.#volume.connect(this.#context.destination);
    }
    if (this.#context.state === "suspended") this.#context.resume();
    return this.#context;
  }

  /** Call this in a click or key handler, so that sound may start later. */
  prepare() { this.#wake(); }

  set volume(value) {
    this.#level = value;
    if (this.#volume) this.#volume.gain.value = value;
  }

  get playing() { return this.#source !== null || this.streaming; }
  get streaming() { return this.#streamed.length > 0; }
  get seconds() { return this.#buffer?.duration ?? 0; }

  /** Seconds from the beginning. */
  get position() {
    if (this.streaming) return Math.max(0, Math.min(this.#context.currentTime, this.#next) - this.#streamedAt);
    if (!this.#source) return this.#offset;
    const since = this.#context.currentTime - this.#startedAt + this.#offset;
    if (!this.#source.loop) return Math.min(since, this.seconds);
    const { loopStart, loopEnd } = this.#source;
    return since < loopEnd ? since : loopStart + (since - loopStart) % (loopEnd - loopStart);
  }

  /** Set what is played; a sound that is playing goes on at the same place. */
  load(samples, rate) {
    const at = this.position, playing = this.playing;
    this.#buffer = new AudioBuffer({ length: Math.max(samples.length, 1), sampleRate: rate });
    this.#buffer.copyToChannel(samples, 0);
    this.#stop();
    this.#offset = Math.min(at, this.seconds);
    if (playing && at < this.seconds) this.play();
    this.#changed();
  }

  play(from = null) {
    if (!this.#buffer) return;
    const context = this.#wake();
    let at = from ?? this.#offset;
    if (at >= this.seconds - 0.01) at = 0;
    const [first, last] = this.region ?? [0, this.seconds];
    if (this.loop && (at < first || at >= last)) at = first;
    this.#stop();
    this.#fade = new GainNode(context, { gain: 0 });
    this.#fade.gain.linearRampToValueAtTime(1, context.currentTime + FADE_SECONDS);
    this.#fade.connect(this.#volume);
    const source = new AudioBufferSourceNode(context, {
      buffer: this.#buffer, loop: this.loop, loopStart: first, loopEnd: last,
    });
    source.connect(this.#fade);
    source.onended = () => {
      if (this.#source !== source) return;
      this.#source = null;
      this.#offset = 0;
      this.#changed();
    };
    this.#startedAt = context.currentTime;
    this.#offset = at;
    source.start(0, at);
    this.#source = source;
    this.#changed();
  }

  pause() {
    this.#offset = this.position;
    this.#stop();
    this.#changed();
  }

  seek(seconds) {
    if (this.#source) this.play(seconds);
    else this.#offset = seconds;
    this.#changed();
  }

  /** Start again where it is, for a new loop or region. */
  refresh() { if (this.#source) this.play(this.position); }

  /** Play samples right after those given before; begins at `at` seconds of the clip. */
  stream(samples, rate, at) {
    const context = this.#wake();
    if (!this.streaming) {
      this.#stop();
      this.#next = context.currentTime + 0.05;
      this.#streamedAt = this.#next - at;
    }
    if (this.#next < context.currentTime) { // it ran dry: the place moves with it
      this.#streamedAt += context.currentTime + 0.05 - this.#next;
      this.#next = context.currentTime + 0.05;
    }
    const buffer = new AudioBuffer({ length: samples.length, sampleRate: rate });
    buffer.copyToChannel(samples, 0);
    const source = new AudioBufferSourceNode(context, { buffer });
    source.connect(this.#volume);
    source.start(this.#next);
    this.#next += buffer.duration;
    this.#streamed.push(source);
    this.#changed();
  }

  #stop() {
    const source = this.#source, fade = this.#fade;
    this.#source = null;
    for (const one of this.#streamed) one.stop();
    this.#streamed = [];
    if (!source) return;
    const end = this.#context.currentTime + FADE_SECONDS;
    fade.gain.cancelScheduledValues(0);
    fade.gain.setValueAtTime(1, this.#context.currentTime);
    fade.gain.linearRampToValueAtTime(0, end);
    source.stop(end);
  }

  #changed() { this.dispatchEvent(new Event("change")); }
}
