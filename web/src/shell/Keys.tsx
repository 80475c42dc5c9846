/** Keys of the whole console: `?` opens the sheet, `g` and a letter goes to a place, `/` searches. */

import { useEffect, useRef, useState } from "react";
import { useNavigate } from "react-router";
import { useMay } from "../api/session";
import { Dialog } from "../parts/Dialog";
import { PLACES } from "../routes";
import { useWords } from "../words";

const PAUSE_MS = 1500;

export function Keys() {
  const say = useWords("shell");
  const [isOpen, setOpen] = useState(false);
  const navigate = useNavigate();
  const places = useKeyedPlaces();
  const leader = useRef(0);
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
      if (document.querySelector("dialog[open]")) return;
      if (event.key === "?") return setOpen(true);
      if (event.key === "/") {
        const field = document.querySelector<HTMLInputElement>('main input[type="search"]');
        if (field) event.preventDefault();
        return field?.focus();
      }
      if (event.key === "g") return void (leader.current = Date.now());
      const place = places.find((one) => one.key === event.key);
      if (place && Date.now() - leader.current < PAUSE_MS) void navigate(place.path);
      leader.current = 0;
    };
    window.addEventListener("keydown", press);
    return () => window.removeEventListener("keydown", press);
  }, [navigate, places]);
  return (
    <Dialog open={isOpen} title={say("keys.title")} onClose={() => setOpen(false)}>
      <KeySheet />
    </Dialog>
  );
}

/** The sheet itself, also part of the help. */
export function KeySheet() {
  const say = useWords("shell");
  const placeWord = useWords("places");
  const places = useKeyedPlaces();
  const lines: [string[], string][] = [
    [["?"], say("keys.sheet")],
    [["/"], say("keys.search")],
    [["Tab"], say("keys.next")],
    [["Enter"], say("keys.press")],
    [["Esc"], say("keys.close")],
    [["←", "→"], say("keys.tabs")],
    ...places.map((one): [string[], string] => [["g", one.key!], placeWord(one.word)]),
  ];
  return (
    <dl className="keys">
      {lines.map(([keys, text]) => (
        <div key={keys.join()}>
          <dt>
            {keys.map((one) => (
              <kbd key={one}>{one}</kbd>
            ))}
          </dt>
          <dd>{text}</dd>
        </div>
      ))}
    </dl>
  );
}

function useKeyedPlaces() {
  const may = useMay();
  return PLACES.filter((one) => one.key && (!one.needs || one.needs.some(may)));
}

function isTyping(target: EventTarget | null): boolean {
  const element = target as HTMLElement | null;
  return Boolean(element?.closest?.("input, textarea, select, [contenteditable]"));
}
