/** Light or dark: as the computer says, or as the person chose in this browser. */

import { useSyncExternalStore } from "react";

export type Look = "system" | "light" | "dark";

const KEPT = "consilium.look";
const dark = window.matchMedia("(prefers-color-scheme: dark)");
const hearers = new Set<() => void>();

export function chosenLook(): Look {
  const kept = localStorage.getItem(KEPT);
  return kept === "light" || kept === "dark" ? kept : "system";
}

function apply(): void {
  const look = chosenLook();
  const shown = look === "system" ? (dark.matches ? "dark" : "light") : look;
  document.documentElement.dataset.theme = shown;
  hearers.forEach((hear) => hear());
}

export function beginLook(): void {
  apply();
  dark.addEventListener("change", apply);
}

export function wear(look: Look): void {
  localStorage.setItem(KEPT, look);
  apply();
}

/** The chosen look, and the one that is shown now. */
export function useLook(): { chosen: Look; shown: "light" | "dark" } {
  const subscribe = (hear: () => void) => {
    hearers.add(hear);
    return () => void hearers.delete(hear);
  };
  const shown = useSyncExternalStore(subscribe, () => document.documentElement.dataset.theme);
  return { chosen: chosenLook(), shown: shown === "dark" ? "dark" : "light" };
}
