/** What studies found: models × metrics, hospital by hospital, calibration, what each would use. */

import { useMemo, useState } from "react";
import { useParams, useSearchParams } from "react-router";
import { useGet } from "../api/hooks";
import { completed, LESS_IS_BETTER, METRICS } from "./compare/summary";
import type { Compared, Result, ResultSite } from "../api/reading";
import { Await, Button, ButtonLink, Card, Empty, Facts, Notice, Page, SelectField, Tabs, saveFile } from "../parts";
import { Calibration } from "../parts/Calibration";
import { Forest, type ForestRow } from "../parts/Forest";
import { Matrix } from "../parts/Matrix";
import { useWords } from "../words";
import { useFormat } from "../words/format";
import { Identifier, Tile, Tiles, shortName, useTitles } from "./common";

/** Candidates in the order in which a person asks; the chosen one is a mean only. */
const CANDIDATES = ["federated", "recalibrated", "fine_tuned", "personalised", "local", "majority", "pooled"];
const REFERENCE: Record<string, number> = { auroc: 0.5, auroc_macro: 0.5, concordance: 0.5, slope: 1, mean_error: 0 };
const UNIT_RANGE = new Set(["auroc", "auroc_macro", "concordance", "accuracy", "balanced_accuracy", "brier", "dice", "sensitivity", "precision"]);

export default function Compare() {
  const { study: id = "" } = useParams();
  const [search] = useSearchParams();
  const say = useWords("compare");
  const others = search.get("with") ?? "";
  const found = useGet<Compared>(`/studies/${id}/compare`, { with: others });
  const title = useTitles();
  const first = found.data?.studies[0];
  return (
    <Page
      title={others ? say("titleMany") : say("title")}
      subtitle={first && !others ? title(first.title) : undefined}
      back={{ to: others ? "/studies" : `/studies/${encodeURIComponent(id)}`, title: others ? say("toStudies") : say("toRun") }}
      actions={
        found.data && (
          <Button icon="download" onClick={() => saveFile("results.json", JSON.stringify(found.data, null, 2), "application/json")}>
            {say("save")}
          </Button>
        )
      }
      wide
    >
      <Await of={found}>
        {(data) =>
          data.studies.length ? (
            <Found compared={data} />
          ) : (
            <Empty title={say("none")} icon="run">
              {say("noneNext")}
            </Empty>
          )
        }
      </Await>
    </Page>
  );
}

function Found({ compared }: { compared: Compared }) {
  const whole = useMemo(
    () => ({ studies: compared.studies.map((one) => ({ ...one, result: completed(one.result) })) }),
    [compared],
  );
  const [first] = whole.studies;
  return whole.studies.length > 1 ? <Many compared={whole} /> : first ? <One study={first} /> : null;
}

const metricsOf = (result: Result): string[] =>
  METRICS.filter((metric) => result.mean[metric] ?? result.sites.some((site) => site[metric]));

type Study = Compared["studies"][number];

function One({ study }: { study: Study }) {
  const say = useWords("compare");
  const { result } = study;
  const metrics = metricsOf(result);
  const [metric, setMetric] = useState(metrics[0] ?? "auroc");
  return (
    <>
      <Headline result={result} metric={metrics[0] ?? "auroc"} />
      <Tabs
        name={say("views")}
        tabs={[
          {
            id: "sites",
            title: say("bySite"),
            panel: () => (
              <Card title={say("bySite")} hint={say("bySiteHint")} actions={<MetricChoice {...{ metrics, metric, setMetric }} />}>
                <SiteForest result={result} metric={metric} />
              </Card>
            ),
          },
          { id: "all", title: say("allFigures"), panel: () => <MeanMatrix result={result} /> },
          { id: "calibration", title: say("calibration"), panel: () => <Calibrations result={result} /> },
          ...(result.sites.some((site) => site.subgroups?.length)
            ? [{ id: "groups", title: say("subgroups"), panel: () => <Subgroups result={result} metric={metrics[0] ?? "auroc"} /> }]
            : []),
          ...(result.target.classes.length
            ? [{ id: "classes", title: say("classes"), panel: () => <Classes result={result} /> }]
            : []),
          { id: "about", title: say("about"), panel: () => <About result={result} /> },
        ]}
      />
    </>
  );
}

function MetricChoice({ metrics, metric, setMetric }: { metrics: string[]; metric: string; setMetric: (metric: string) => void }) {
  const say = useWords("compare");
  const common = useWords("common");
  return (
    <SelectField
      label={say("metric")}
      value={metric}
      onValue={setMetric}
      options={metrics.map((one) => ({ value: one, title: common(`metric.${one}`) }))}
    />
  );
}

/** The answer in one sentence: was it worth it, and for whom. */
function Headline({ result, metric }: { result: Result; metric: string }) {
  const say = useWords("compare");
  const common = useWords("common");
  const format = useFormat();
  const row = result.mean[metric] ?? {};
  const best = result.mean[metric]?.chosen ?? row.federated ?? null;
  const local = row.local ?? null;
  const gain = best !== null && local !== null ? (LESS_IS_BETTER.has(metric) ? local - best : best - local) : null;
  const gained = result.sites.filter((site) => isBetter(site, metric)).length;
  return (
    <>
      {gain !== null && (
        <Notice kind={gain > 0 ? "info" : "warn"} title={say(gain > 0 ? "worth" : "notWorth", { metric: common(`metric.${metric}`), gain: format.number(Math.abs(gain), 3) })}>
          {say("gained", { count: gained, all: result.sites.length })}
        </Notice>
      )}
      <Tiles>
        <Tile name={`${say("tile.federated")} · ${common(`metric.${metric}`)}`} value={format.number(row.federated, 3)} note={say("meanOf", { count: result.sites.length })} />
        <Tile name={say("tile.local")} value={format.number(local, 3)} note={say("localNote")} />
        <Tile name={say("tile.worst")} value={format.number(result.worst[metric]?.chosen ?? result.worst[metric]?.federated, 3)} note={say("worstNote")} />
        <Tile name={say("tile.rounds")} value={result.rounds} note={format.bytes(result.bytes.up + result.bytes.down)} />
      </Tiles>
    </>
  );
}

function figuresOf(site: ResultSite, metric: string): Record<string, number | null> {
  return (site[metric] as Record<string, number | null> | undefined) ?? {};
}

function isBetter(site: ResultSite, metric: string): boolean {
  const row = figuresOf(site, metric);
  const [ours, local] = [row[site.chosen] ?? row.federated ?? null, row.local ?? null];
  if (ours === null || local === null) return false;
  return LESS_IS_BETTER.has(metric) ? ours < local : ours > local;
}

function SiteForest({ result, metric }: { result: Result; metric: string }) {
  const say = useWords("compare");
  const common = useWords("common");
  const title = useTitles();
  const rows: ForestRow[] = result.sites.flatMap((site) => {
    const figures = figuresOf(site, metric);
    const shown = CANDIDATES.filter((one) => typeof figures[one] === "number" || site.undefined[`${metric}.${one}`]);
    return [
      {
        key: site.id,
        heading: true,
        value: null,
        label: say("siteHead", { title: title(site.title) || shortName(site.id), n: site.n_test ?? "–" }),
      },
      ...shown.map((one) => ({
        key: `${site.id} ${one}`,
        label: (
          <>
            {common(`candidate.${one}`)}
            {one === site.chosen && <span className="chosen-mark">{say("chosen")}</span>}
          </>
        ),
        value: figures[one] ?? null,
        interval: site.intervals[metric]?.[one] ?? null,
        note: say("undefined"),
        strong: one === site.chosen,
        hue: hueOf(one),
      })),
    ];
  });
  return (
    <Forest
      rows={rows}
      caption={say("bySite")}
      reference={REFERENCE[metric]}
      bounds={UNIT_RANGE.has(metric) ? [0, 1] : undefined}
    />
  );
}

/** One colour for what came of learning together, one for alone, one for neither. */
function hueOf(candidate: string): number {
  if (candidate === "local") return 2;
  if (candidate === "majority") return 5;
  return candidate === "pooled" ? 6 : 1;
}

function MeanMatrix({ result }: { result: Result }) {
  const say = useWords("compare");
  const common = useWords("common");
  const metrics = metricsOf(result).filter((one) => result.mean[one]);
  const candidates = [...CANDIDATES, "chosen"].filter((one) =>
    metrics.some((metric) => typeof result.mean[metric]?.[one] === "number"),
  );
  const table = (rows: Result["mean"], name: string) => (
    <Card title={say(name)} hint={say(`${name}Hint`)}>
      <Matrix
        caption={say(name)}
        rows={candidates.map((one) => common(`candidate.${one}`))}
        columns={metrics.map((one) => (
          <>
            {common(`metric.${one}`)} <small>{say(LESS_IS_BETTER.has(one) ? "less" : "more")}</small>
          </>
        ))}
        values={candidates.map((one) => metrics.map((metric) => rows[metric]?.[one] ?? null))}
        shade={false}
        write={(value, row, column) => {
          const metric = metrics[column]!;
          const known = candidates.filter((one) => one !== "pooled").map((one) => rows[metric]?.[one]).filter((one): one is number => typeof one === "number");
          const best = LESS_IS_BETTER.has(metric) ? Math.min(...known) : Math.max(...known);
          return <Figure value={value} isBest={value === best && candidates[row] !== "pooled"} />;
        }}
      />
    </Card>
  );
  return (
    <>
      {table(result.mean, "mean")}
      {table(result.worst, "worst")}
    </>
  );
}

function Figure({ value, isBest }: { value: number; isBest: boolean }) {
  const format = useFormat();
  const say = useWords("compare");
  return isBest ? (
    <strong title={say("best")}>
      {format.number(value, 3)}
      <span className="best-mark">{say("best")}</span>
    </strong>
  ) : (
    <>{format.number(value, 3)}</>
  );
}

function Calibrations({ result }: { result: Result }) {
  const say = useWords("compare");
  const common = useWords("common");
  const format = useFormat();
  const title = useTitles();
  const sites = result.sites.filter((site) => Object.values(site.calibration).some((bins) => bins.length));
  if (!sites.length)
    return (
      <Empty title={say("noCalibration")} icon="info">
        {say("noCalibrationWhy")}
      </Empty>
    );
  return (
    <>
      <p className="hint">{say("calibrationHint")}</p>
      <div className="calibrations">
        {sites.map((site) => {
          const before = site.calibration.federated ?? [];
          const own = site.calibration[site.chosen] ?? [];
          return (
            <Card key={site.id} title={title(site.title)} hint={say("held", { n: site.n_test ?? "–" })}>
              <div className="calibration-pair">
                {([["federated", before, 1], ...(site.chosen !== "federated" && own.length ? [[site.chosen, own, 3]] : [])] as [string, ResultSite["calibration"][string], number][]).map(
                  ([name, bins, hue]) => (
                    <div key={name}>
                      <p className="hint">
                        {common(`candidate.${name}`)} · {common("metric.slope")} {format.number(figuresOf(site, "slope")[name], 2)}
                      </p>
                      <Calibration bins={bins} hue={hue} label={`${title(site.title)} ${common(`candidate.${name}`)}`} />
                    </div>
                  ),
                )}
              </div>
            </Card>
          );
        })}
      </div>
    </>
  );
}

function Subgroups({ result, metric }: { result: Result; metric: string }) {
  const say = useWords("compare");
  const title = useTitles();
  type Group = { field: string; group: string; unit: string; n: number; reason: string | null; intervals?: ResultSite["intervals"] } & Record<string, unknown>;
  const rows: ForestRow[] = result.sites.flatMap((site) => {
    const groups = (site.subgroups ?? []) as Group[];
    return [
      { key: site.id, heading: true, value: null, label: title(site.title) },
      ...groups.map((group, index) => ({
        key: `${site.id} ${index}`,
        label: say("group", { field: group.field, group: group.group || say("groupNone"), n: group.n ?? "–" }),
        value: ((group[metric] as Record<string, number | null> | undefined) ?? {}).federated ?? null,
        interval: group.intervals?.[metric]?.federated ?? null,
        note: group.reason ? say("tooFew") : say("undefined"),
        hue: 1,
      })),
    ];
  });
  return (
    <Card title={say("subgroups")} hint={say("subgroupsHint")}>
      <Forest rows={rows} caption={say("subgroups")} reference={REFERENCE[metric]} bounds={[0, 1]} />
    </Card>
  );
}

function Classes({ result }: { result: Result }) {
  const say = useWords("compare");
  const common = useWords("common");
  const title = useTitles();
  const names = ["sensitivity", "specificity", "auroc"];
  return (
    <>
      {result.sites.map((site) => (
        <Card key={site.id} title={title(site.title)}>
          <Matrix
            caption={title(site.title)}
            corner={say("class")}
            rows={site.classes.map((one) => `${result.target.classes[one.index] ?? one.index} (${one.n ?? "–"})`)}
            columns={names.map((one) => common(`metric.${one}`))}
            values={site.classes.map((one) => names.map((name) => (one[name] as { value: number | null } | undefined)?.value ?? null))}
            bounds={[0, 1]}
          />
          {site.confusion?.[site.chosen] && (
            <Matrix
              caption={say("confusion")}
              corner={say("confusionCorner")}
              rows={result.target.classes}
              columns={result.target.classes}
              values={site.confusion[site.chosen]!}
              digits={0}
            />
          )}
        </Card>
      ))}
    </>
  );
}

function About({ result }: { result: Result }) {
  const say = useWords("compare");
  const format = useFormat();
  return (
    <Card title={say("about")}>
      <Facts
        items={[
          [say("fact.recipe"), result.recipe],
          [say("fact.rule"), result.rule],
          [say("fact.rounds"), result.rounds],
          [say("fact.seed"), result.seed],
          [say("fact.target"), [result.target.label, result.target.unit].filter(Boolean).join(" ")],
          [say("fact.time"), format.duration(result.timing?.total_s)],
          [say("fact.bytes"), `↑ ${format.bytes(result.bytes.up)}  ↓ ${format.bytes(result.bytes.down)}`],
          [say("fact.evidence"), say(result.evidence.verified ? "verified" : "notVerified", { count: result.evidence.entries })],
          [say("fact.model"), <Identifier key="model" value={result.model.digest} />],
        ]}
      />
      <div className="card-end">
        <ButtonLink icon="model" to={`/models/${encodeURIComponent(result.model.digest)}`}>
          {say("toModel")}
        </ButtonLink>
      </div>
    </Card>
  );
}

/** Several studies side by side: the same figures of each, over all hospitals and at each. */
function Many({ compared }: { compared: Compared }) {
  const say = useWords("compare");
  const common = useWords("common");
  const title = useTitles();
  const metrics = [...new Set(compared.studies.flatMap(({ result }) => metricsOf(result)))];
  const [metric, setMetric] = useState(metrics[0] ?? "auroc");
  const kinds = new Set(compared.studies.map(({ result }) => result.target.kind + result.target.label));
  const nameOf = (study: Study) => `${title(study.title)} · ${study.result.recipe} · ${study.result.rule}`;
  const shown = metrics.filter((one) => compared.studies.some(({ result }) => result.mean[one]));
  const sites = [...new Map(compared.studies.flatMap(({ result }) => result.sites.map((site) => [site.id, site.title]))).entries()];
  const rows: ForestRow[] = sites.flatMap(([id, name]) => [
    { key: id, heading: true, value: null, label: title(name) || shortName(id) },
    ...compared.studies.flatMap((study, index) => {
      const site = study.result.sites.find((one) => one.id === id);
      if (!site) return [];
      const best = site.chosen in figuresOf(site, metric) ? site.chosen : "federated";
      return [
        {
          key: `${id} ${study.id}`,
          label: `${index + 1}. ${common(`candidate.${best}`)}`,
          value: figuresOf(site, metric)[best] ?? null,
          interval: site.intervals[metric]?.[best] ?? null,
          note: say("undefined"),
          hue: (index % 6) + 1,
        },
      ];
    }),
  ]);
  return (
    <>
      {kinds.size > 1 && <Notice kind="warn" title={say("different")}>{say("differentNext")}</Notice>}
      <Card title={say("mean")} hint={say("manyHint")}>
        <Matrix
          caption={say("mean")}
          rows={compared.studies.map((study, index) => `${index + 1}. ${nameOf(study)}`)}
          columns={shown.map((one) => (
            <>
              {common(`metric.${one}`)} <small>{say(LESS_IS_BETTER.has(one) ? "less" : "more")}</small>
            </>
          ))}
          values={compared.studies.map(({ result }) => shown.map((one) => result.mean[one]?.chosen ?? result.mean[one]?.federated ?? null))}
          shade={false}
        />
      </Card>
      <Card title={say("bySite")} hint={say("manySiteHint")} actions={<MetricChoice {...{ metrics, metric, setMetric }} />}>
        <Forest rows={rows} caption={say("bySite")} reference={REFERENCE[metric]} bounds={UNIT_RANGE.has(metric) ? [0, 1] : undefined} />
      </Card>
    </>
  );
}
