import type { Check, Migration } from '../model/project.js'
import { quotedText } from '../model/table_name.js'
import { readBackfillStatement } from './backfill_statement.js'
import { parseStatements } from './statements.js'

/** What becomes of backfills: one that lets nothing pass while rows are pending, or the whole statement. */
export const backfillExports = ['gate', 'inline'] as const
/** One of them. */
export type BackfillExport = (typeof backfillExports)[number]

/** Rows of a table from which on one statement over all of them is warned of. */
const rowsWarnedOf = 100_000

/** One file of an exported migration. */
export interface ExportedPart {
  text: string
  /** What a reader of the report should know of it; null for a file as it is. */
  note: string | null
}

/**
 * The files that a migration becomes for a tool that runs each file in a transaction, in order. A file
 * without a transaction becomes one for each statement. `checks` must find nothing before it, and `earlier`
 * backfills must be done.
 */
export async function exportedParts(
  m: Migration,
  { checks, earlier, backfills }: { checks: Check[]; earlier: Migration[]; backfills: BackfillExport },
): Promise<ExportedPart[]> {
  const gated = [...(await Promise.all(earlier.map(gateOfBackfill))), ...checks.map(gateOfCheck)].join('')
  if (m.backfill) {
    const pending = await gateOfBackfill(m)
    const { deletesTable } = await readBackfillStatement(m.file.text, m.file.path, m.backfill)
    // what it takes out must be copied first, which only its own tool does
    if (backfills === 'gate' || deletesTable)
      return [{ text: gated + pending, note: `raises while rows of ${m.backfill.table} are pending` }]
    const note = `changes every row of ${m.backfill.table} in one transaction`
    return [{ text: `${gated}${sizeWarning(m.backfill.table)}\n${withoutHeader(m.file.text)}`, note }]
  }
  if (m.transaction === 'one') return [{ text: gated + withoutHeader(m.file.text), note: null }]
  const statements = await parseStatements(m.file.text)
  const gate = gated === '' ? [] : [{ text: gated, note: 'raises while something is left to do' }]
  const parts = statements.map(s => {
    const above = withoutHeader(s.above.replace(/^;/, '')).trim()
    const own = `${above === '' ? '' : `${above}\n`}${s.text};\n`
    const concurrent = Boolean(s.node.concurrent)
    const warning =
      '-- A build that is stopped leaves an invalid index, which must be dropped before this runs again.\n'
    return {
      text: `${concurrent ? warning : ''}${own}`,
      note: concurrent ? 'builds an index concurrently: alone in its file' : null,
    }
  })
  return [...gate, ...parts]
}

/** A text without the lines that are for this tool. */
const withoutHeader = (text: string): string =>
  text
    .replace(/^\uFEFF/, '')
    .replace(/^--!.*(?:\r?\n|$)/gm, '')
    .replace(/^\s*\n/, '')

/** A block that raises while a backfill has rows to do: those that can't be done don't count. */
async function gateOfBackfill(m: Migration): Promise<string> {
  const { table, pending, reason } = m.backfill!
  const { alias } = await readBackfillStatement(m.file.text, m.file.path, m.backfill!)
  const left = reason === null ? '' : `\n      and (${reason}) is null`
  return raising(
    `select from ${table} ${alias} where (${pending})${left}`,
    `rows of ${table} are pending for ${m.name}`,
    wayOn(m.track, m),
  )
}

const wayOn = (track: string, m: Migration | null): string => {
  const work =
    m?.phase === 'contract' ? `migrate --track ${track} --to ${m.name}` : `backfill --track ${track}`
  return `rethread migrate --track ${track} --adopt, then rethread ${work}, then push again`
}

/** A block that raises while a check finds something. */
const gateOfCheck = (c: Check): string =>
  raising(
    `select from (\n${withoutHeader(c.file.text).replace(/[\s;]+$/, '')}\n    ) as found`,
    `a check of rethread finds something: ${c.title}`,
    `rethread verify --track ${c.track} --only ${c.name} shows it. For rows that are not done: ${wayOn(c.track, null)}`,
  )

const raising = (query: string, message: string, hint: string): string => `do $rethread$
begin
  perform set_config('rethread.gate', 'yes', true);
  if exists (
    ${query}
  ) then
    raise exception using message = ${quotedText(message)}, hint = ${quotedText(hint)};
  end if;
end
$rethread$;
`

/** A block that warns where a table is so large that one statement over all of it is felt. */
const sizeWarning = (table: string): string => `do $rethread$
declare
  about bigint := (select c.reltuples::bigint from pg_catalog.pg_class c where c.oid = ${quotedText(table)}::regclass);
begin
  if about > ${rowsWarnedOf} then
    raise warning '% has about % rows: the next statement changes them in one transaction', ${quotedText(table)}, about
      using hint = 'rethread backfill does it in small batches: export with --backfills gate';
  end if;
end
$rethread$;
`
