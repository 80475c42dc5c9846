/** Numbers, times and sizes as the chosen language writes them. */

import { useMemo } from "react";
import { useLanguage, type Language } from "./index";

const LOCALE: Record<Language, string> = { zh: "zh-CN", en: "en-GB" };
const BETWEEN: Record<Language, string> = { zh: "、", en: ", " };
const STEPS: [Intl.RelativeTimeFormatUnit, number][] = [
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
  ["second", 1],
];
const UNITS = ["B", "KB", "MB", "GB", "TB", "PB"];

export type Format = ReturnType<typeof makeFormat>;

/** Make the writers of one language; missing values become a dash. */
export function makeFormat(language: Language) {
  const locale = LOCALE[language];
  const date = new Intl.DateTimeFormat(locale, { dateStyle: "medium" });
  const time = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "short" });
  const clock = new Intl.DateTimeFormat(locale, { timeStyle: "medium" });
  const relative = new Intl.RelativeTimeFormat(locale, { numeric: "auto" });
  const when = (iso: string | null | undefined, how: Intl.DateTimeFormat) => {
    const moment = iso ? new Date(iso) : null;
    return moment && !Number.isNaN(moment.getTime()) ? how.format(moment) : "–";
  };
  // Making a writer costs fifty times what writing does.
  const writers = new Map<number | undefined, Intl.NumberFormat>();
  const writerOf = (digits: number | undefined) => {
    const known = writers.get(digits);
    if (known) return known;
    const [least, most] = [digits ?? 0, digits ?? 3];
    const made = new Intl.NumberFormat(locale, { minimumFractionDigits: least, maximumFractionDigits: most });
    writers.set(digits, made);
    return made;
  };
  const number = (value: number | null | undefined, digits?: number) =>
    value === null || value === undefined || Number.isNaN(value) ? "–" : writerOf(digits).format(value);
  return {
    number,
    /** Words side by side. */
    list: (words: string[]) => words.join(BETWEEN[language]),
    /** 0.123 as 12.3 %. */
    percent: (value: number | null | undefined, digits = 1) =>
      value === null || value === undefined ? "–" : `${number(value * 100, digits)}%`,
    date: (iso: string | null | undefined) => when(iso, date),
    time: (iso: string | null | undefined) => when(iso, time),
    clock: (iso: string | null | undefined) => when(iso, clock),
    /** How long ago, or how far ahead, in words. */
    ago: (iso: string | null | undefined, now = Date.now()) => {
      const moment = iso ? new Date(iso).getTime() : Number.NaN;
      if (Number.isNaN(moment)) return "–";
      const seconds = Math.round((moment - now) / 1000);
      const [unit, size] =
        STEPS.find(([, length]) => Math.abs(seconds) >= length) ?? (["second", 1] as const);
      return relative.format(Math.trunc(seconds / size), unit);
    },
    bytes: (value: number | null | undefined) => {
      if (value === null || value === undefined) return "–";
      const step = Math.min(UNITS.length - 1, Math.floor(Math.log(Math.max(1, value)) / Math.log(1000)));
      return `${number(value / 1000 ** step, step === 0 ? 0 : 1)} ${UNITS[step]}`;
    },
    /** Seconds as 1:02:03 or 2:03. */
    duration: (seconds: number | null | undefined) => {
      if (seconds === null || seconds === undefined) return "–";
      const whole = Math.max(0, Math.round(seconds));
      const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
      const shown = parts[0] ? parts : parts.slice(1);
      return shown.map((one, index) => (index ? String(one).padStart(2, "0") : one)).join(":");
    },
  };
}

export function useFormat(): Format {
  const language = useLanguage();
  return useMemo(() => makeFormat(language), [language]);
}

/** The right sentence of a record that carries both. */
export function useSentence(): (both: { en: string; zh: string } | null | undefined) => string {
  const language = useLanguage();
  return (both) => (both ? both[language] || both.en || both.zh : "");
}
