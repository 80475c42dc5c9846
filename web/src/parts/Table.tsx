/**
 * Tables: sorted by a click on a heading, filtered by a word, exported as CSV, printed whole.
 * Long ones draw only the rows in view.
 */

import { useMemo, useState, type ReactNode } from "react";
import { Link } from "react-router";
import { useWords } from "../words";
import { Button } from "./Button";
import { csvName, saveFile, writeCsv, type CsvValue } from "./csv";
import { Icon } from "./Icon";
import { useView, ROW_HEIGHT } from "./view";

export type Column<Row> = {
  id: string;
  title: string;
  /** What is shown. */
  cell: (row: Row) => ReactNode;
  /** What is sorted, filtered and exported; without it the column is none of these. */
  value?: (row: Row) => CsvValue;
  align?: "right";
  /** Keep on one line as wide as needed. */
  tight?: boolean;
  /** For columns of buttons: neither exported nor printed. */
  onScreen?: boolean;
};

export type TableProps<Row> = {
  /** What the table shows: read out to those who do not see it, and the file's name. */
  name: string;
  columns: Column<Row>[];
  rows: Row[];
  rowKey: (row: Row) => string;
  /** Where a row leads to: its first cell becomes a link. */
  href?: (row: Row) => string | undefined;
  /** Shown in place of an empty table. */
  empty?: ReactNode;
  /** Offer a field that filters. */
  filter?: boolean;
  sort?: { column: string; down?: boolean };
  /** Fetch the next part; a button appears. */
  more?: () => void;
  isFetchingMore?: boolean;
  /** Fetch every row, for export of a list that is shown in parts. */
  all?: () => Promise<Row[]>;
  /** Buttons and fields beside the filter. */
  tools?: ReactNode;
  /** Without filter, export and print: for a few rows inside a card. */
  bare?: boolean;
};

export function Table<Row>(props: TableProps<Row>) {
  const { name, columns, rows, empty, filter, tools, bare, more, isFetchingMore } = props;
  const say = useWords("parts");
  const [word, setWord] = useState("");
  const [sort, setSort] = useState(props.sort);
  const shown = useMemo(
    () => sortRows(filterRows(rows, columns, word), columns, sort),
    [rows, columns, word, sort],
  );
  const save = async () => {
    const all = props.all ? sortRows(await props.all(), columns, sort) : shown;
    const written = columns.filter((one) => one.value && !one.onScreen);
    const lines = all.map((row) => written.map((one) => one.value?.(row)));
    saveFile(csvName(name), writeCsv([written.map((one) => one.title), ...lines]));
  };
  if (rows.length === 0 && empty && !tools) return <>{empty}</>;
  return (
    <div className={bare ? "table table-bare" : "table"}>
      {!bare && (
        <div className="table-tools">
          {filter && (
            <label className="table-filter">
              <Icon name="search" size={16} />
              <span className="visually-hidden">{say("table.filter")}</span>
              <input
                type="search"
                placeholder={say("table.filter")}
                value={word}
                onChange={(event) => setWord(event.target.value)}
              />
            </label>
          )}
          {tools}
          <span className="table-count" aria-live="polite">
            {say(more ? "table.countMore" : "table.count", { count: shown.length })}
          </span>
          <Button
            kind="quiet"
            icon="download"
            aria-label={say("table.save", { name })}
            title={say("table.saveShort")}
            onClick={() => void save()}
          />
          <Button
            kind="quiet"
            icon="print"
            aria-label={say("table.print")}
            title={say("table.print")}
            onClick={() => window.print()}
          />
        </div>
      )}
      {rows.length === 0 && empty ? (
        empty
      ) : (
        <Grid {...props} rows={shown} sort={sort} onSort={setSort} />
      )}
      {shown.length === 0 && rows.length > 0 && (
        <p className="table-nothing">{say("table.nothing", { word })}</p>
      )}
      {more && (
        <div className="table-more">
          <Button busy={isFetchingMore} onClick={more}>
            {say("table.more")}
          </Button>
        </div>
      )}
    </div>
  );
}

type Sort = { column: string; down?: boolean } | undefined;

function Grid<Row>({
  name,
  columns,
  rows,
  rowKey,
  href,
  sort,
  onSort,
}: TableProps<Row> & { onSort: (sort: Sort) => void }) {
  const view = useView(rows.length);
  const turn = (column: string) =>
    onSort({ column, down: sort?.column === column ? !sort.down : false });
  return (
    <div
      className={view.isLong ? "table-scroll table-long" : "table-scroll"}
      ref={view.box}
      tabIndex={view.isLong ? 0 : undefined}
      role={view.isLong ? "region" : undefined}
      aria-label={view.isLong ? name : undefined}
    >
      <table aria-rowcount={rows.length + 1}>
        <caption className="visually-hidden">{name}</caption>
        <thead>
          <tr>
            {columns.map((one) => (
              <Heading key={one.id} column={one} sort={sort} onTurn={() => turn(one.id)} />
            ))}
          </tr>
        </thead>
        <tbody>
          {view.above > 0 && <Gap rows={view.above} columns={columns.length} />}
          {rows.slice(view.from, view.to).map((row, index) => (
            <tr key={rowKey(row)} aria-rowindex={view.from + index + 2}>
              {columns.map((one, at) => (
                <td key={one.id} className={cellClass(one)}>
                  {at === 0 && href?.(row) ? (
                    <Link to={href(row)!} className="row-link">
                      {one.cell(row)}
                    </Link>
                  ) : (
                    one.cell(row)
                  )}
                </td>
              ))}
            </tr>
          ))}
          {view.below > 0 && <Gap rows={view.below} columns={columns.length} />}
        </tbody>
      </table>
    </div>
  );
}

function Heading<Row>({
  column,
  sort,
  onTurn,
}: {
  column: Column<Row>;
  sort: Sort;
  onTurn: () => void;
}) {
  const isSorted = sort?.column === column.id;
  const order = isSorted ? (sort?.down ? "descending" : "ascending") : undefined;
  return (
    <th scope="col" className={cellClass(column)} aria-sort={order}>
      {column.value ? (
        <button type="button" className="table-sort" onClick={onTurn}>
          {column.title}
          <Icon name={isSorted ? (sort?.down ? "down" : "up") : "sort"} size={12} />
        </button>
      ) : (
        column.title
      )}
    </th>
  );
}

function Gap({ rows, columns }: { rows: number; columns: number }) {
  return (
    <tr aria-hidden="true" className="table-gap">
      <td colSpan={columns} style={{ height: rows * ROW_HEIGHT }} />
    </tr>
  );
}

function cellClass<Row>(column: Column<Row>): string | undefined {
  const names = [
    column.align === "right" && "cell-right",
    column.tight && "cell-tight",
    column.onScreen && "cell-screen",
  ].filter(Boolean);
  return names.length ? names.join(" ") : undefined;
}

/** Keep the rows in which every word occurs in some column. */
export function filterRows<Row>(rows: Row[], columns: Column<Row>[], word: string): Row[] {
  const wanted = word.toLocaleLowerCase().split(/\s+/).filter(Boolean);
  if (!wanted.length) return rows;
  return rows.filter((row) => {
    const text = columns.map((one) => String(one.value?.(row) ?? "")).join(" ");
    const lower = text.toLocaleLowerCase();
    return wanted.every((one) => lower.includes(one));
  });
}

/** Sort by one column; what has no value comes last either way. */
export function sortRows<Row>(rows: Row[], columns: Column<Row>[], sort: Sort): Row[] {
  const value = columns.find((one) => one.id === sort?.column)?.value;
  if (!value) return rows;
  const sign = sort?.down ? -1 : 1;
  return [...rows].sort((a, b) => {
    const [left, right] = [value(a), value(b)];
    if (isNothing(left) || isNothing(right)) return Number(isNothing(left)) - Number(isNothing(right));
    return sign * compare(left, right);
  });
}

const isNothing = (value: CsvValue) => value === null || value === undefined || value === "";

function compare(left: CsvValue, right: CsvValue): number {
  if (typeof left === "number" && typeof right === "number") return left - right;
  return String(left).localeCompare(String(right), undefined, { numeric: true });
}
