/** Mean and worst over the hospitals, as docs/result-record.md defines them, where a record has none. */

import type { Figures, Result, ResultSite } from "../../api/reading";

export const METRICS = [
  "auroc",
  "auroc_macro",
  "concordance",
  "dice",
  "mae",
  "rmse",
  "accuracy",
  "balanced_accuracy",
  "brier",
  "slope",
  "sensitivity",
  "precision",
  "mean_error",
];
export const LESS_IS_BETTER = new Set(["brier", "mae", "rmse"]);
/** Figures without a best end: they have neither mean nor worst. */
const NO_END = new Set(["slope", "mean_error"]);

/** A node's own record has hospitals only; a space's has mean and worst besides. */
export function completed(result: Result): Result {
  const sites: ResultSite[] = result.sites.map((site) => ({
    ...site,
    intervals: site.intervals ?? {},
    undefined: site.undefined ?? {},
    calibration: site.calibration ?? {},
    classes: site.classes ?? [],
  }));
  if (result.mean && result.worst) return { ...result, sites };
  const shown = METRICS.filter((one) => !NO_END.has(one) && sites.some((site) => site[one]));
  const over = (pick: (values: number[], metric: string) => number) =>
    Object.fromEntries(shown.map((metric) => [metric, rowOf(sites, metric, pick)]));
  return {
    ...result,
    sites,
    mean: over((values) => values.reduce((sum, one) => sum + one, 0) / values.length),
    worst: over((values, metric) =>
      LESS_IS_BETTER.has(metric) ? Math.max(...values) : Math.min(...values),
    ),
  };
}

function rowOf(
  sites: ResultSite[],
  metric: string,
  pick: (values: number[], metric: string) => number,
): Figures {
  const rows = sites.map((site) => {
    const figures = (site[metric] ?? {}) as Figures;
    return { ...figures, chosen: figures[site.chosen] ?? null };
  });
  const names = new Set(rows.flatMap((row) => Object.keys(row)));
  return Object.fromEntries(
    [...names].map((name) => {
      const values = rows
        .map((row) => (row as Figures)[name])
        .filter((one): one is number => typeof one === "number");
      return [name, values.length ? pick(values, metric) : null];
    }),
  );
}
