// The tabs of a meter: going back loads the page anew, so that what it shows is never a picture of an hour ago.
htmx.config.historyCacheSize = 0;
htmx.config.refreshOnHistoryMiss = true;

// on a phone the tabs are wider than the screen: the chosen one comes into view
const show = () => document.querySelector(".meter-tabs [aria-current]")?.scrollIntoView({ inline: "center", block: "nearest" });
show();
document.body.addEventListener("htmx:afterSwap", (event) => event.detail.target.id === "meter-tab" && show());
