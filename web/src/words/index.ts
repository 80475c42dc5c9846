/**
 * Words on the screens. `useWords("home")` gives the function that finds a word of
 * `words/LANGUAGE/home.json`; `say("title")` finds one. Nothing on a screen is text of its own.
 */

import i18next, { type TOptions } from "i18next";
import { useCallback } from "react";
import { initReactI18next, useTranslation } from "react-i18next";

export type Language = "zh" | "en";
export type Say = (key: string, values?: TOptions) => string;
type Words = Record<string, object>;

const KEPT = "consilium.language";
const LOADERS: Record<Language, () => Promise<{ default: Record<string, unknown> }>> = {
  zh: () => import("./zh"),
  en: () => import("./en"),
};

/** Chinese unless the person chose English in this browser. */
export function chosenLanguage(): Language {
  return localStorage.getItem(KEPT) === "en" ? "en" : "zh";
}

async function load(language: Language): Promise<void> {
  const files = (await LOADERS[language]()).default as Words;
  for (const [path, words] of Object.entries(files)) {
    const screen = path.split("/").at(-1)!.replace(".json", "");
    i18next.addResourceBundle(language, screen, words, true, true);
  }
}

function mark(language: Language): void {
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
}

/** Load the chosen language; call once, before anything is drawn. */
export async function beginWords(): Promise<void> {
  const language = chosenLanguage();
  await i18next.use(initReactI18next).init({
    lng: language,
    fallbackLng: false,
    resources: {},
    ns: [],
    interpolation: { escapeValue: false },
    react: { useSuspense: false },
  });
  await load(language);
  mark(language);
}

/** Change the language, now and for the next time. */
export async function speak(language: Language): Promise<void> {
  localStorage.setItem(KEPT, language);
  await load(language);
  await i18next.changeLanguage(language);
  mark(language);
}

/** The words of one screen. */
export function useWords(screen: string): Say {
  const { t } = useTranslation(screen, { useSuspense: false });
  return useCallback((key: string, values?: TOptions) => t(key, values ?? {}) as string, [t]);
}

export function useLanguage(): Language {
  const { i18n } = useTranslation(undefined, { useSuspense: false });
  return i18n.language === "en" ? "en" : "zh";
}
