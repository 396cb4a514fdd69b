// Renews what stands in #live, as long as the page is looked at and nobody works in it.
"use strict";
(() => {
  const live = document.getElementById("live");
  if (!live) return;
  const renew = async () => {
    const busy = live.contains(document.activeElement) || !document.getSelection().isCollapsed;
    if (document.hidden || busy) return;
    try {
      const answer = await fetch(location.href, { cache: "no-store" });
      if (!answer.ok) return;
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.getElementById("live");
      if (fresh) live.replaceChildren(...fresh.childNodes);
    } catch {
      // The gateway is away for a moment: what is shown stays.
    }
  };
  setInterval(renew, Number(live.dataset.every) * 1000);
})();
