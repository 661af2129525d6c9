"use strict";
// Marks the word (and the utterance) that is spoken now; a click on a word goes there.
for (const article of document.querySelectorAll("article")) {
  const audio = article.querySelector("audio");
  const timed = (selector) =>
    [...article.querySelectorAll(selector)].map((element) => ({
      element,
      start: Number(element.dataset.start),
      end: Number(element.dataset.end),
    }));
  const tracks = [
    { items: timed(".word"), mark: "now", linger: 0.15, marked: null },
    { items: timed(".utterance"), mark: "current", linger: 1.5, marked: null },
  ];

  const at = (items, time, linger) => {
    let low = 0, high = items.length; // the last one that has begun
    while (low < high) {
      const middle = (low + high) >> 1;
      if (items[middle].start <= time) low = middle + 1; else high = middle;
    }
    const item = items[low - 1];
    return item && time < item.end + linger ? item.element : null;
  };

  const show = () => {
    for (const track of tracks) {
      const element = at(track.items, audio.currentTime, track.linger);
      if (element === track.marked) continue;
      track.marked?.classList.remove(track.mark);
      element?.classList.add(track.mark);
      track.marked = element;
      if (element && track.mark === "current" && !audio.paused) {
        element.scrollIntoView({ block: "nearest" });
      }
    }
  };
  const follow = () => {
    show();
    if (!audio.paused) requestAnimationFrame(follow);
  };

  audio.addEventListener("play", () => {
    for (const other of document.querySelectorAll("audio")) if (other !== audio) other.pause();
    follow();
  });
  audio.addEventListener("seeked", show);
  audio.addEventListener("timeupdate", show);
  article.addEventListener("click", (event) => {
    const target = event.target.closest("[data-start]");
    const isControl = event.target.closest("audio, a, summary");
    if (!target || isControl || String(getSelection())) return;
    audio.currentTime = Number(target.dataset.start);
    audio.play();
  });
}
