/** Which rows of a long list are in view: the others are one gap above and one below. */

import { useEffect, useRef, useState } from "react";
import { flushSync } from "react-dom";

export const ROW_HEIGHT = 45;
const LONG = 150;
const MARGIN = 12;

export function useView(count: number) {
  const box = useRef<HTMLDivElement>(null);
  const [range, setRange] = useState({ from: 0, to: 60 });
  const isPrinting = usePrinting();
  const isLong = count > LONG && !isPrinting;
  useEffect(() => {
    const element = box.current;
    if (!isLong || !element) return;
    let frame = 0;
    const look = () => {
      const from = Math.max(0, Math.floor(element.scrollTop / ROW_HEIGHT) - MARGIN);
      const to = from + Math.ceil(element.clientHeight / ROW_HEIGHT) + 2 * MARGIN;
      setRange((before) => (before.from === from && before.to === to ? before : { from, to }));
    };
    const later = () => {
      cancelAnimationFrame(frame);
      frame = requestAnimationFrame(look);
    };
    look();
    element.addEventListener("scroll", later, { passive: true });
    const size = new ResizeObserver(later);
    size.observe(element);
    return () => {
      cancelAnimationFrame(frame);
      element.removeEventListener("scroll", later);
      size.disconnect();
    };
  }, [isLong]);
  if (!isLong) return { box, isLong, from: 0, to: count, above: 0, below: 0 };
  const to = Math.min(count, range.to);
  const from = Math.min(range.from, Math.max(0, to - 1));
  return { box, isLong, from, to, above: from, below: count - to };
}

/** Whether the page is being printed: then every row is drawn. */
function usePrinting(): boolean {
  const [isPrinting, setPrinting] = useState(false);
  useEffect(() => {
    const before = () => flushSync(() => setPrinting(true));
    const after = () => setPrinting(false);
    window.addEventListener("beforeprint", before);
    window.addEventListener("afterprint", after);
    return () => {
      window.removeEventListener("beforeprint", before);
      window.removeEventListener("afterprint", after);
    };
  }, []);
  return isPrinting;
}
