import { relationFacts } from '../database/catalog.sql.js'
import { missingObjects } from '../database/requirements.sql.js'
import type { Db } from '../database/types.js'
import { relationsNamed, statementsOrNone } from '../files/statements.js'
import type { Check } from '../model/project.js'
import { emptyTables } from './run_check.sql.js'

/** Schemas whose tables may be empty: catalogs, and lists of faults. */
const listsOfFaults = /^(pg_catalog|information_schema|rethread|rethread_archive|chat_private)\./

/** Why a check that found nothing had nothing to examine, else null. */
export async function whyNothingLookedAt(tx: Db, check: Check, tables: string[]): Promise<string | null> {
  const missing = await missingObjects(tx, check.requires)
  if (missing.length > 0) return `looked at nothing: there is no ${missing.join(', ')}`
  if (check.shared && !check.expects)
    return (await relationFacts(tx, tables)).length > 0
      ? null
      : 'looked at nothing: no table of the track is there'
  const read = [...relationsNamed(await statementsOrNone(check.file.text))].filter(
    t => !listsOfFaults.test(t),
  )
  const empty = await emptyTables(tx, read)
  return read.length === 0 || empty.length < read.length
    ? null
    : `looked at no row: ${empty.join(', ')} empty`
}
