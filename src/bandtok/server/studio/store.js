// Clips in this browser's IndexedDB, so that they survive a reload.

const MOST_CLIPS = 60;
let opened;

const open = () => opened ??= new Promise((resolve, reject) => {
  const request = indexedDB.open("bandtok-studio", 1);
  request.onupgradeneeded = () => request.result.createObjectStore("clips", { keyPath: "id" });
  request.onsuccess = () => resolve(request.result);
  request.onerror = () => reject(request.error);
});

const run = async (mode, act) => {
  const store = (await open()).transaction("clips", mode).objectStore("clips");
  return new Promise((resolve, reject) => {
    const request = act(store);
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
};

/** All clips, newest first. */
export const load = async () =>
  (await run("readonly", (store) => store.getAll())).sort((one, other) => other.created - one.created);

export const save = (clip) => run("readwrite", (store) => store.put(clip));
export const remove = (id) => run("readwrite", (store) => store.delete(id));

/** The clips to forget when there are too many: the oldest that are not kept. */
export const surplus = (clips) =>
  clips.filter((clip) => !clip.kept).slice(Math.max(MOST_CLIPS - clips.filter((clip) => clip.kept).length, 1));
