
"use strict";
// One player sounds at a time, and a line shows on its pictures where it is.
const players = [...document.querySelectorAll("audio")];

for (const player of players) {
  const clip = player.closest("figure");
  const canvases = [...clip.querySelectorAll("[data-seconds]")];

  const draw = () => {
    for (const canvas of canvases) {
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
    for (const other of players) if (other !== player) other.pause();
    follow();
  });
  player.addEventListener("seeked", draw);
  player.addEventListener("error", complain);
  if (player.error) complain();

  for (const canvas of canvases) {
    canvas.addEventListener("click", (event) => {
      const box = canvas.getBoundingClientRect();
      const share = Math.max(0, (event.clientX - box.left) / box.width);
      player.currentTime = share * Number(canvas.dataset.seconds);
      player.play();
    });
  }
}
