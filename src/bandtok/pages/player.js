
"use strict";
// One player sounds at a time, and a line shows on its pictures where it is. In a group of versions
// of one sound, whichever is chosen goes on where the one before it was.
const players = [...document.querySelectorAll("audio")];
const groups = [...document.querySelectorAll(".switchable")];
const groupOf = (player) => player.closest(".switchable");
const chosen = new Map(); // the player last started in each group

const switchTo = (player) => {
  const before = chosen.get(groupOf(player));
  if (before && before !== player) player.currentTime = before.ended ? 0 : before.currentTime;
  player.play();
};

for (const player of players) {
  const clip = player.closest("figure");
  const group = groupOf(player);
  const canvases = [...clip.querySelectorAll("[data-seconds]")];
  const lined = group ? [...group.querySelectorAll("[data-seconds]")] : canvases;

  const draw = () => {
    if (group && chosen.get(group) !== player) return;
    for (const canvas of lined) {
      const share = player.currentTime / Number(canvas.dataset.seconds);
      const line = canvas.querySelector(".playhead");
      line.hidden = false;
      line.style.left = `${100 * Math.min(1, share)}%`;
    }
  };
  const follow = () => {
    draw();
    if (!player.paused && !player.ended) requestAnimationFrame(follow);
  };
  const complain = () => {
    if (clip.querySelector("[role=alert]")) return;
    const text = document.createElement("p");
    text.className = "note";
    text.setAttribute("role", "alert");
    text.textContent = "This browser cannot play this sound.";
    player.after(text);
  };

  player.addEventListener("play", () => {
    for (const other of players) {
      if (other === player || other.paused) continue;
      if (!group || groupOf(other) !== group) other.pause();
      else if (chosen.get(group) === other) player.currentTime = other.currentTime;
    }
    if (group) {
      chosen.set(group, player);
      for (const figure of group.querySelectorAll("figure")) {
        figure.classList.toggle("active", figure === clip);
      }
    }
    follow();
  });
  // The version before sounds until this one is ready, so that there is no gap.
  player.addEventListener("playing", () => {
    if (!group) return;
    for (const other of players) {
      if (groupOf(other) === group && other !== chosen.get(group)) other.pause();
    }
  });
  player.addEventListener("seeked", draw);
  player.addEventListener("error", complain);
  if (player.error) complain();

  for (const canvas of canvases) {
    canvas.addEventListener("click", (event) => {
      const box = canvas.getBoundingClientRect();
      const share = Math.max(0, (event.clientX - box.left) / box.width);
      for (const other of players) if (other !== player) other.pause();
      player.currentTime = share * Number(canvas.dataset.seconds);
      player.play();
    });
  }
  clip.querySelector(".version")?.addEventListener("click", () => switchTo(player));
}

const number = (group) => {
  const hidden = group.classList.contains("names-hidden");
  group.querySelectorAll("audio").forEach((player, index) => {
    const label = player.closest("figure").querySelector("strong");
    label.dataset.name ??= label.textContent;
    player.dataset.name ??= player.getAttribute("aria-label");
    const version = `Version ${index + 1}`;
    label.textContent = hidden ? version : `${index + 1} ${label.dataset.name}`;
    player.setAttribute("aria-label", hidden ? version : player.dataset.name);
  });
};

const shuffle = (group) => {
  const own = [...group.querySelectorAll("audio")];
  const figures = own.map((player) => player.closest("figure"));
  for (const player of own) {
    player.pause();
    player.currentTime = 0;
  }
  chosen.delete(group);
  for (let last = figures.length - 1; last > 0; last--) {
    const other = Math.floor(Math.random() * (last + 1));
    [figures[last], figures[other]] = [figures[other], figures[last]];
  }
  for (const figure of figures) {
    figure.classList.remove("active");
    figure.parentElement.append(figure);
  }
};

for (const group of groups) {
  number(group);
  const button = group.querySelector(".blind");
  button?.addEventListener("click", () => {
    const hidden = group.classList.toggle("names-hidden");
    button.textContent = hidden ? "Show names" : "Hide names";
    button.setAttribute("aria-pressed", String(hidden));
    if (hidden) shuffle(group);
    number(group);
  });
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || !/^[1-9]$/.test(event.key)) return;
  const sounding = players.find((player) => groupOf(player) && !player.paused);
  const seen = (group) => group.getBoundingClientRect().bottom > window.innerHeight / 3;
  const group = sounding ? groupOf(sounding) : groups.find(seen);
  const player = group?.querySelectorAll("audio")[Number(event.key) - 1];
  if (player) switchTo(player);
});
