/** Round numbers for the axes of small plots. */

const STEPS = [1, 2, 2.5, 5, 10];

/** Give about `count` round numbers from at or below `low` to at or above `high`. */
export function niceTicks(low: number, high: number, count = 5): number[] {
  const rough = (high - low) / Math.max(1, count - 1);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * (STEPS.find((one) => one * power >= rough - 1e-12) ?? 10);
  const first = Math.floor(low / step + 1e-9);
  const last = Math.ceil(high / step - 1e-9);
  return Array.from({ length: last - first + 1 }, (_, index) =>
    Number(((first + index) * step).toPrecision(12)),
  );
}
