// A library is fetched when the first piece that needs it is on the page, once.
const folder = new URL("./vendor/", import.meta.url);
const coming = new Map();

// resolves when the library `name` of static/vendor has made the global `made`
export function load(name, made) {
  if (window[made]) return Promise.resolve();
  if (!coming.has(name)) coming.set(name, new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = new URL(name, folder);
    script.onload = () => resolve();
    script.onerror = () => { coming.delete(name); reject(new Error(name)); };
    document.head.append(script);
  }));
  return coming.get(name);
}

// resolves when the styles `name` of static/vendor hold; they stand before the page's own
export function loadStyles(name) {
  const href = new URL(name, folder).href;
  if ([...document.styleSheets].some((sheet) => sheet.href === href)) return Promise.resolve();
  if (!coming.has(name)) coming.set(name, new Promise((resolve) => {
    const link = document.createElement("link");
    link.rel = "stylesheet";
    link.href = href;
    link.onload = link.onerror = () => resolve();
    document.head.querySelector("link[rel=stylesheet]").before(link);
  }));
  return coming.get(name);
}
