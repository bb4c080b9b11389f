import type { Session } from '../db/session.js'
import { type Finding, finding } from '../model/report.js'
import { fingerprintOf, objects } from '../sql/fingerprint.js'
import { setFingerprint, storedFingerprint } from '../sql/ledger.js'
import type { Run } from './run.js'

/** Stores how the schema looks after the newest finished step, outside its locks (ability B13). */
export async function storeFingerprint(run: Run): Promise<void> {
  await setFingerprint(run.writer.sql, run.token, run.id, fingerprintOf(await objects(run.writer.sql)))
}

/** Compares the schema now with what was stored; only within one major version of the server (decision 20). */
export async function driftOf(session: Session, major: number): Promise<Finding[]> {
  const stored = await storedFingerprint(session.sql)
  if (!stored || stored.major !== major) return []
  return stored.fingerprint === fingerprintOf(await objects(session.sql)) ? [] : [finding('DRIFT', 'schema')]
}
