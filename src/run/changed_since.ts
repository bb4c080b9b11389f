import { descents } from '../database/known.sql.js'
import type { Db } from '../database/types.js'
import { ChangedObjects } from '../files/changed_objects.js'
import { proofOf } from '../files/statement_proof.js'
import { type Statement, statementsOrNone } from '../files/statements.js'
import type { StoredSchema } from './ledger.sql.js'

/** The objects that steps since a look at the schema may have changed. */
export async function changedSince(sql: Db, { since }: StoredSchema): Promise<ChangedObjects> {
  const statements: Statement[] = []
  for (const row of since) {
    const all = await statementsOrNone(row.statements.map(s => `${s};`).join('\n'))
    // a failed transaction left nothing; a file in parts left its finished statements; a file without a
    // transaction may have begun the next one too
    if (row.outcome === 'failed') {
      const begun = all.length > 0 && all.every(s => proofOf(s) !== null) ? 1 : 0
      statements.push(...all.slice(0, row.reached + begun))
    } else statements.push(...all)
  }
  return new ChangedObjects(statements, await descents(sql))
}
