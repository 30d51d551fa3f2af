"use strict";
// What the tests of the report ask of the page.
window.probes = {
  click(selector) {
    document.querySelector(selector).dispatchEvent(new MouseEvent("click", { bubbles: true, cancelable: true }));
    return new Promise((done) => { setTimeout(done, 100); });
  },

  texts: (selector) => [...document.querySelectorAll(selector)].map((each) => each.textContent),

  header: (name) => [...document.querySelectorAll("#browsed th button")].find((each) => each.textContent.includes(name)),

  column(name) {
    const cell = probes.header(name).parentElement;
    return [...document.querySelectorAll("#browsed tbody tr")].map((row) => Number(row.cells[cell.cellIndex].textContent));
  },

  choose(index) {
    const which = document.querySelector("#which");
    which.value = index;
    which.dispatchEvent(new Event("change"));
    return which.selectedOptions[0].textContent;
  },

  unreachable: () => [...document.querySelectorAll("a[href], button, select, input, summary")]
    .filter((each) => each.checkVisibility() && each.tabIndex < 0).length,

  dress(theme) {
    document.documentElement.dataset.theme = theme;
    document.querySelectorAll("details").forEach((each) => { each.open = true; });
  },

  // The text that stands out least from its ground: WCAG 2.2's contrast ratio, the element, the text.
  faintest() {
    const channels = (color) => color.match(/[\d.]+/g).map(Number);
    const linear = (value) => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    const luminance = (color) => [0.2126, 0.7152, 0.0722]
      .reduce((sum, weight, index) => sum + weight * linear(color[index] / 255), 0);
    const ground = (element) => {
      for (let each = element; each; each = each.parentElement) {
        const color = channels(getComputedStyle(each).backgroundColor);
        if (color.length < 4 || color[3] > 0) return color;
      }
      return [255, 255, 255];
    };
    const found = [];
    for (const each of document.querySelectorAll("body *")) {
      const speaks = [...each.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
      if (!speaks || !each.checkVisibility() || each.closest("script, style, .hidden, .skip")) continue;
      const drawing = each.closest("svg");
      const ink = channels(drawing ? getComputedStyle(each).fill : getComputedStyle(each).color);
      const paper = drawing ? channels(getComputedStyle(drawing.querySelector("rect")).fill) : ground(each);
      const [low, high] = [luminance(ink), luminance(paper)].sort((a, b) => a - b);
      found.push([(high + 0.05) / (low + 0.05), `${each.tagName}.${each.className}`, each.textContent.trim()]);
    }
    return found.sort((a, b) => a[0] - b[0])[0];
  },
};
