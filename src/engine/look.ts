import type { Session } from '../db/session.js'
import { Failure } from '../model/failure.js'
import type { LedgerRow, Plan } from '../model/plan.js'
import type { Track, Workspace } from '../model/workspace.js'
import { missingObjects } from '../sql/catalog.js'
import { readLedger, schemaVersion, upgrades } from '../sql/ledger.js'
import { changedFiles } from './drift.js'
import { foldLedger, type History, makePlan, type Wish } from './plan.js'

/** What the ledger and the files say together. */
export interface Look {
  history: History
  plan: Plan
  hasLedger: boolean
}

/** The ledger's rows; none when the schema is not there. NEWER_LEDGER when a newer rethread wrote it. */
export async function ledgerRows(session: Session): Promise<LedgerRow[] | null> {
  const version = await schemaVersion(session.sql)
  if (version === null) return null
  if (version > upgrades.length)
    throw new Failure('NEWER_LEDGER', 'schema rethread', { found: version, known: upgrades.length })
  return readLedger(session.sql)
}

/** Reads the ledger and plans; writes nothing, needs no schema of ours. */
export async function look(session: Session, track: Track, wish: Wish): Promise<Look> {
  const rows = await ledgerRows(session)
  const history = foldLedger(rows ?? [], track.name)
  const changed = await changedFiles(track, history)
  return { history, plan: makePlan(track, history, changed, wish), hasLedger: rows !== null }
}

/**
 * Which track: the named one, else the ledger's, else the only one whose first prerequisites are there (decision 7).
 * Throws TRACK_UNCLEAR with the candidates, or UNKNOWN_MIGRATION for a name that is no track.
 */
export async function chooseTrack(
  session: Session,
  workspace: Workspace,
  name: string | null,
): Promise<Track> {
  const names = workspace.tracks.map(t => t.name)
  if (name !== null) {
    const track = workspace.tracks.find(t => t.name === name)
    if (!track) throw new Failure('TRACK_UNCLEAR', name, { reason: 'there is no such track', tracks: names })
    return track
  }
  if (workspace.tracks.length === 1) return workspace.tracks[0]!
  const rows = (await ledgerRows(session)) ?? []
  const known = workspace.tracks.filter(t => rows.some(r => r.track === t.name))
  if (known.length === 1) return known[0]!
  const fitting = await tracksThatFit(session, workspace)
  if (fitting.length === 1) return fitting[0]!
  throw new Failure('TRACK_UNCLEAR', 'track', {
    reason: fitting.length === 0 ? 'none fits this database' : 'several fit this database',
    tracks: names,
  })
}

/** The tracks whose first migration finds the tables that it requires. */
export async function tracksThatFit(session: Session, workspace: Workspace): Promise<Track[]> {
  const fitting: Track[] = []
  for (const track of workspace.tracks) {
    const tables = (track.migrations[0]?.requires ?? []).filter(
      r => r.startsWith('table ') || r.startsWith('column '),
    )
    if (tables.length > 0 && (await missingObjects(session.sql, tables)).length === 0) fitting.push(track)
  }
  return fitting
}
