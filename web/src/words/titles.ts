/** Titles that people gave in both languages at once: 中文 · English. */

import { useCallback } from "react";
import { useLanguage, type Language } from "./index";

const SEPARATOR = " · ";

/** The half of a title that the reader reads, where it holds both languages. */
export function titleIn(language: Language, title: string): string {
  const halves = title.split(SEPARATOR);
  if (halves.length !== 2) return title;
  return (language === "zh" ? halves[0] : halves[1]) ?? title;
}

export function useTitles(): (title: string | null | undefined) => string {
  const language = useLanguage();
  return useCallback((title) => titleIn(language, title ?? ""), [language]);
}
