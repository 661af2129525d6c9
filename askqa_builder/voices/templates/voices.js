"use strict";
// One player for all voices: two at once cannot be compared.
const player = document.getElementById("player");
const buttons = [...document.querySelectorAll("button[data-file]")];
let queue = [];

function play(button) {
  for (const row of document.querySelectorAll("tr.now")) row.classList.remove("now");
  const row = button.closest("tr");
  row.classList.add("now");
  row.scrollIntoView({ block: "nearest" });
  player.src = encodeURIComponent(button.dataset.file);
  player.play();
}

for (const button of buttons) {
  button.addEventListener("click", () => { queue = []; play(button); });
}
document.getElementById("all").addEventListener("click", () => {
  queue = buttons.slice(1);
  if (buttons.length) play(buttons[0]);
});
player.addEventListener("ended", () => {
  const next = queue.shift();
  if (next) play(next);
});
