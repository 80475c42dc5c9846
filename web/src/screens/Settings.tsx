/** Settings: this browser's language and look; what holds at the node, and where it is set. */

import { useGet } from "../api/hooks";
import type { Home, Settings as SettingsRecord } from "../api/types";
import { ChoiceField } from "../parts/Field";
import { Card, Facts, Page } from "../parts/Page";
import { Await } from "../parts/Problem";
import { Table, type Column } from "../parts/Table";
import { useLook, wear, type Look } from "../shell/look";
import { speak, useLanguage, useWords, type Language } from "../words";
import { useFormat } from "../words/format";
import { Backups } from "./settings/Backups";

const LOOKS: Look[] = ["system", "light", "dark"];

export default function Settings() {
  const say = useWords("settings");
  const settings = useGet<SettingsRecord>("/settings");
  return (
    <Page title={say("title")} subtitle={say("subtitle")}>
      <Card title={say("browser")} hint={say("browserHint")}>
        <div className="columns">
          <LanguageChoice />
          <LookChoice />
        </div>
      </Card>
      {settings.error?.status === 403 ? (
        <p className="hint">{say("limited")}</p>
      ) : (
        <Await of={settings}>{(found) => <NodeSettings settings={found} />}</Await>
      )}
    </Page>
  );
}

function LanguageChoice() {
  const say = useWords("settings");
  const language = useLanguage();
  return (
    <ChoiceField
      label={say("language")}
      value={language}
      onValue={(value) => void speak(value as Language)}
      options={[
        { value: "zh", title: say("chinese"), lang: "zh" },
        { value: "en", title: say("english"), lang: "en" },
      ]}
    />
  );
}

function LookChoice() {
  const say = useWords("settings");
  const { chosen } = useLook();
  return (
    <ChoiceField
      label={say("look")}
      value={chosen}
      onValue={(value) => wear(value as Look)}
      options={LOOKS.map((one) => ({ value: one, title: say(`looks.${one}`) }))}
    />
  );
}

function NodeSettings({ settings }: { settings: SettingsRecord }) {
  const say = useWords("settings");
  const format = useFormat();
  const home = useGet<Home>("/home");
  const { node, approvals, console: door } = settings;
  const health = home.data?.health;
  return (
    <>
      <Card title={say("approvals")} hint={say("approvalsHint")}>
        <Facts
          items={[
            [say("agreements"), say(`rule.${approvals.agreements}`)],
            [say("studies"), say(`rule.${approvals.studies}`)],
            [say("exports"), say(`rule.${approvals.exports}`)],
            [say("due"), say("hours", { count: approvals.due_hours })],
            [say("release"), say("days", { count: approvals.release_days })],
          ]}
        />
      </Card>
      <Card title={say("node")}>
        <Facts
          items={[
            [say("hospital"), node.title],
            [say("space"), node.space],
            [say("hub"), node.hub],
            [say("door"), `${door.host}:${door.port}`],
            [say("encrypted"), say(door.certificate ? "yes" : "loopback")],
            [say("version"), settings.version],
            [
              say("disk"),
              health &&
                say("diskFree", {
                  free: format.bytes(health.disk_free_bytes),
                  total: format.bytes(health.disk_total_bytes),
                }),
            ],
          ]}
        />
      </Card>
      <Backups />
      <Card plain title={say("all")} hint={say("allHint", { file: settings.file })}>
        <AllSettings settings={settings} />
      </Card>
    </>
  );
}

type Line = { name: string; value: string };

function AllSettings({ settings }: { settings: SettingsRecord }) {
  const say = useWords("settings");
  const sections = { node: settings.node, console: settings.console, approvals: settings.approvals };
  const lines: Line[] = Object.entries(sections).flatMap(([section, values]) =>
    Object.entries(values).map(([name, value]) => ({
      name: `${section}.${name}`,
      value: write(value),
    })),
  );
  const columns: Column<Line>[] = [
    {
      id: "name",
      title: say("name"),
      value: (one) => one.name,
      cell: (one) => <code>{one.name}</code>,
    },
    { id: "value", title: say("value"), value: (one) => one.value, cell: (one) => one.value || "–" },
  ];
  return (
    <Table name={say("all")} columns={columns} rows={lines} rowKey={(one) => one.name} filter />
  );
}

function write(value: unknown): string {
  if (value === null || value === undefined) return "";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
