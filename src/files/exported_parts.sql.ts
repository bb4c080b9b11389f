import type { Check, Migration } from '../model/project.js'
import { shellWord } from '../model/shell_word.js'
import { quotedText } from '../model/table_name.js'
import { readBackfillStatement } from './backfill_statement.js'
import { parseStatements } from './statements.js'

/**
 * How to export a backfill. `gate`: a block that raises an error while rows are pending. `inline`: one
 * statement for all rows.
 */
export const backfillExports = ['gate', 'inline'] as const
/** One of them. */
export type BackfillExport = (typeof backfillExports)[number]

/** From this number of rows on, a file warns that one statement changes them all. */
const rowsWarnedOf = 100_000

/** One file of an exported migration. */
export interface ExportedPart {
  text: string
  /** A note for the report, null if there is nothing to say. */
  note: string | null
}

/**
 * Splits a migration into files for a tool that runs each file in a transaction. A file without a transaction
 * becomes one file per statement. Blocks at the beginning raise an error if one of `checks` finds something
 * or one of the `earlier` backfills is not finished.
 */
export async function exportedParts(
  m: Migration,
  { checks, earlier, backfills }: { checks: Check[]; earlier: Migration[]; backfills: BackfillExport },
): Promise<ExportedPart[]> {
  const gated = [...(await Promise.all(earlier.map(gateOfBackfill))), ...checks.map(gateOfCheck)].join('')
  if (m.backfill) {
    const pending = await gateOfBackfill(m)
    const { deletesTable } = await readBackfillStatement(m.file.text, m.file.path, m.backfill)
    // deleted rows must be copied first, which only rethread does
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

/** A text without the header lines, which are for rethread. */
const withoutHeader = (text: string): string =>
  text
    .replace(/^\uFEFF/, '')
    .replace(/^--!.*(?:\r?\n|$)/gm, '')
    .replace(/^\s*\n/, '')

/** A block that raises an error while a backfill has pending rows that can be processed. */
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
    m?.phase === 'contract'
      ? `migrate --track ${shellWord(track)} --to ${shellWord(m.name)}`
      : `backfill --track ${shellWord(track)}`
  return `rethread migrate --track ${shellWord(track)} --adopt, then rethread ${work}, then push again`
}

/** A block that raises an error while a check finds something. */
const gateOfCheck = (c: Check): string =>
  raising(
    `select from (\n${withoutHeader(c.file.text).replace(/[\s;]+$/, '')}\n    ) as found`,
    `a check of rethread finds something: ${c.title}`,
    `rethread verify --track ${shellWord(c.track)} --only ${shellWord(c.name)} shows it. For rows that are not done: ${wayOn(c.track, null)}`,
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

/** A block that raises a warning if the table is so large that users notice one statement on all of it. */
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
