"""What is wrong with how a screen looks: cut off, overlapping, wider than the window, untranslated.

Each rule is a small function in the page; it names what it found by its words.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

Page = Any
ROOT = Path(__file__).parents[3]

AXE = ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js"
LEVELS = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa")
_KEY = re.compile(r"^[a-z][A-Za-z]*(?:\.[A-Za-z_][\w-]*)+$")
_HAN = re.compile(r"[\u4e00-\u9fff]")
_SENTENCE = re.compile(r"^(?=[^\u4e00-\u9fff]*$)(?:[A-Za-z'’,-]+[ .]+){4,}")
_GEOMETRY = """() => {
  const found = [];
  const root = document.documentElement;
  const words = (node) => (node.textContent || "").trim().replace(/\\s+/g, " ").slice(0, 60);
  if (root.scrollWidth > root.clientWidth + 1)
    found.push(`wider than the window: ${root.scrollWidth} > ${root.clientWidth}`);
  const shown = (node) => node.checkVisibility({ opacityProperty: true, visibilityProperty: true })
    && !node.closest(".visually-hidden, .skip, [aria-hidden=true], svg, canvas, .u-over, option");
  const rolls = (node) => /auto|scroll/.test(node.overflowX + node.overflowY);
  for (const node of document.querySelectorAll("body *")) {
    if (!shown(node) || !words(node)) continue;
    const style = getComputedStyle(node);
    if (node.closest(".wall-column > :last-child") || style.clipPath !== "none") continue;
    if (/hidden|clip/.test(style.overflowX) && node.scrollWidth > node.clientWidth + 1)
      found.push(`cut off in width: ${words(node)}`);
    if (/hidden|clip/.test(style.overflowY) && node.scrollHeight > node.clientHeight + 2
        && node.clientHeight > 0 && style.overflowX !== "auto")
      found.push(`cut off in height: ${words(node)}`);
  }
  const pieces = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const text = walk.currentNode;
    const box = text.parentElement;
    if (!text.data.trim() || !shown(box)) continue;
    const range = document.createRange();
    range.selectNodeContents(text);
    let clip = { left: -1e5, top: -1e5, right: 1e5, bottom: 1e5 };
    let floats = "";
    for (let at = box; at && at !== document.body; at = at.parentElement) {
      const style = getComputedStyle(at);
      if (/fixed|sticky/.test(style.position) && !floats) floats = at.className || at.tagName;
      if (style.overflowX === "visible" && style.overflowY === "visible") continue;
      const r = at.getBoundingClientRect();
      clip = { left: Math.max(clip.left, r.left), top: Math.max(clip.top, r.top),
        right: Math.min(clip.right, r.right), bottom: Math.min(clip.bottom, r.bottom) };
    }
    for (const r of range.getClientRects()) {
      const seen = { left: Math.max(r.left, clip.left), top: Math.max(r.top, clip.top),
        right: Math.min(r.right, clip.right), bottom: Math.min(r.bottom, clip.bottom) };
      if (seen.right - seen.left > 2 && seen.bottom - seen.top > 2)
        pieces.push({ ...seen, text, floats, words: text.data.trim().slice(0, 40) });
      if (seen.right > root.clientWidth + 1 && seen.left < 1e4)
        found.push(`beyond the window: ${text.data.trim().slice(0, 40)}`);
    }
  }
  pieces.sort((one, other) => one.top - other.top);
  for (let i = 0; i < pieces.length; i += 1)
    for (let j = i + 1; j < pieces.length && pieces[j].top < pieces[i].bottom; j += 1) {
      const one = pieces[i], other = pieces[j];
      if (one.text === other.text || one.floats !== other.floats) continue;
      const wide = Math.min(one.right, other.right) - Math.max(one.left, other.left);
      const high = Math.min(one.bottom, other.bottom) - Math.max(one.top, other.top);
      const line = Math.min(one.bottom - one.top, other.bottom - other.top);
      if (wide > 3 && high > Math.max(5, 0.4 * line))
        found.push(`overlapping: ${one.words} | ${other.words}`);
    }
  return [...new Set(found)];
}"""
_TEXTS = """() => {
  const found = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const box = walk.currentNode.parentElement;
    const text = walk.currentNode.data.trim();
    if (text && !box.closest("code, pre, .mono, script, style, [lang]:not(html), [data-said]"))
      found.push(text);
  }
  for (const node of document.querySelectorAll("[aria-label], [title], [placeholder]"))
    for (const name of ["aria-label", "title", "placeholder"]) {
      const text = node.getAttribute(name);
      if (text && !node.closest("[lang]:not(html)")) found.push(text.trim());
    }
  return [...new Set(found)];
}"""


def find_faults(page: Page, language: str, *, names: tuple[str, ...] = ()) -> list[str]:
    """List what is cut off, overlapping, too wide or in the wrong language on a screen.

    `names` are texts that people gave to things: they stay as they were given.
    """
    found = [str(one) for one in page.evaluate(_GEOMETRY)]
    for text in page.evaluate(_TEXTS):
        if _KEY.match(text):
            found.append(f"a word's key: {text}")
        elif not any(name in text for name in names) and _is_foreign(text, language):
            found.append(f"not translated: {text[:60]}")
    return found


def _is_foreign(text: str, language: str) -> bool:
    if language == "en":
        return bool(_HAN.search(text))
    return bool(_SENTENCE.match(text))


def find_violations(page: Page, script: Path = AXE) -> list[dict[str, Any]]:
    """Ask axe-core for violations of WCAG 2.2, levels A and AA, on the shown screen."""
    page.evaluate(script.read_text(encoding="utf-8") + "; undefined")
    found = page.evaluate(
        "levels => axe.run(document, { runOnly: levels, resultTypes: ['violations'] })",
        list(LEVELS),
    )
    return [
        {
            "rule": one["id"],
            "help": one["help"],
            "where": [node["html"][:160] for node in one["nodes"]][:5],
            "why": one["nodes"][0]["failureSummary"][:300],
        }
        for one in found["violations"]
    ]
