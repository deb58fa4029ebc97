"""Search for what a page in a browser cuts off, at the width of its window."""

from playwright.sync_api import Page

LIST_CUT_PARTS = """() => {
  const tolerance = 2;  // pixels of rounding
  const width = document.documentElement.clientWidth;
  const scrolls = style => ["auto", "scroll"].includes(style.overflowX);
  const hides = style => ["hidden", "clip"].includes(style.overflowX);
  const describe = (element, fault) => {
    const keyed = element.closest("[class*='st-key-']");
    const key = keyed ? keyed.className.match(/st-key-[^ ]+/)[0] : "";
    const text = (element.innerText || element.textContent || "").trim().replace(/\\s+/g, " ").slice(0, 80);
    return `${fault}: ${element.tagName.toLowerCase()} ${key} “${text}”`;
  };
  const isShown = element =>
    element.checkVisibility({opacityProperty: true, visibilityProperty: true})
    && element.getBoundingClientRect().width > 1 && element.getBoundingClientRect().height > 1;
  // Stops at the nearest box that hides or scrolls: what it scrolls can be read, what it hides is cut.
  const findFault = (element, box) => {
    for (let parent = element; parent && parent !== document.body; parent = parent.parentElement) {
      const style = getComputedStyle(parent);
      const outer = parent.getBoundingClientRect();
      if (outer.width <= 1 || outer.height <= 1) return "";  // meant for screen readers
      if (parent !== element && scrolls(style)) {
        return outer.left < -tolerance || outer.right > width + tolerance ? "leaves the window" : "";
      }
      if (hides(style) && (box.right > outer.right + tolerance || box.left < outer.left - tolerance)) {
        return "is cut";
      }
    }
    return box.left < -tolerance || box.right > width + tolerance ? "leaves the window" : "";
  };
  const faults = [];
  if (document.documentElement.scrollWidth > width + tolerance) {
    faults.push(`the page scrolls sideways: ${document.documentElement.scrollWidth} of ${width} pixels`);
  }
  const roots = document.querySelectorAll([
    "[data-testid='stMain']", "[data-testid='stPopoverBody']", "[role='dialog']",
    "[data-testid='stSidebar'][aria-expanded='true']",
  ].join(", "));
  const parts = "button, input, img, canvas, [data-testid='stDataFrame'], .js-plotly-plot";
  for (const root of roots) {
    const main = root.matches("[data-testid='stMain']") ? root : null;
    if (main && main.scrollWidth > main.clientWidth + tolerance) {
      faults.push(`the page scrolls sideways: ${main.scrollWidth} of ${main.clientWidth} pixels`);
    }
    const texts = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
    for (let node = texts.nextNode(); node; node = texts.nextNode()) {
      const element = node.parentElement;
      if (!node.textContent.trim() || element.closest("svg, canvas, style, script, [role='grid']")) continue;
      if (element.closest("[data-testid='stIconMaterial']") || !isShown(element)) continue;
      const range = document.createRange();
      range.selectNodeContents(node);
      const fault = findFault(element, range.getBoundingClientRect());
      if (fault) faults.push(describe(element, fault));
    }
    for (const element of root.querySelectorAll(parts)) {
      if (element.closest("[role='grid']") || !isShown(element)) continue;
      if (getComputedStyle(element).position === "fixed") continue;
      const fault = findFault(element, element.getBoundingClientRect());
      if (fault) faults.push(describe(element, fault));
    }
    const words = [
      ".gtitle", ".xtick text", ".ytick text", ".x2tick text", ".y2tick text", ".xtitle", ".ytitle",
      ".legendtext", ".annotation-text", ".cbaxis text",
    ].join(", ");
    for (const text of root.querySelectorAll(words)) {
      const chart = text.closest(".js-plotly-plot");
      if (!chart || !isShown(text)) continue;
      const [inner, outer] = [text.getBoundingClientRect(), chart.getBoundingClientRect()];
      if (inner.left < outer.left - tolerance || inner.right > outer.right + tolerance) {
        faults.push(describe(text, "is cut by its chart"));
      }
    }
  }
  return [...new Set(faults)];
}"""


def list_cut_parts(page: Page) -> list[str]:
    """Return a line for each text, button, field, image or chart that is cut off, and for a page that scrolls sideways.

    Whatever a box of its own scrolls sideways is not cut, nor are the cells of a table, which are drawn on a canvas.
    """
    return list(page.evaluate(LIST_CUT_PARTS))
