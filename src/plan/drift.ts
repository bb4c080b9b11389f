import { proofOf } from '../files/statement_proof.js'
import { parseStatements } from '../files/statements.js'
import { objectsOf } from '../files/track_objects.js'
import type { Hazard } from '../model/plan.js'
import type { Migration, Track } from '../model/project.js'
import { namesIn, partText } from '../model/table_name.js'

/**
 * What of the objects that changed since the last step belongs to the track, as the hazard that must be
 * allowed by name: tables that it makes or alters, everything on them, and functions that it makes. None
 * where nothing of the track has changed. `changed` is what `drifted` found; `resumed` are the steps that an
 * earlier run began and did not finish, whose statements may have been the change.
 */
export async function driftHazards(
  track: Track,
  changed: string[],
  resumed: Migration[] = [],
): Promise<Hazard[]> {
  if (changed.length === 0) return []
  const begun = await madeOneByOne(resumed)
  const { tables, touched, functions } = await objectsOf(track)
  const relations = new Set([...tables, ...touched])
  const ours = changed.filter(change => {
    const [, kind, name] = /^. (\w+) (.*)$/s.exec(change)!
    if (begun.some(made => name!.endsWith(`.${made}`))) return false
    if (kind === 'function') return functions.some(f => name!.startsWith(`${f.replace(/^public\./, '')}(`))
    // a table, or something that is on it: `public.chats.workspace_id`
    return [...relations].some(r => name === r || name!.startsWith(`${r}.`))
  })
  return ours.length === 0
    ? []
    : [{ code: 'IGNORES_DRIFT', subject: track.name, detail: ours.slice(0, mostNamed).join(', ') }]
}

/** What files without a transaction make or change, statement after statement: the last part of each name. */
async function madeOneByOne(migrations: Migration[]): Promise<string[]> {
  const names: string[] = []
  for (const m of migrations.filter(m => m.transaction === 'none'))
    for (const statement of await parseStatements(m.file.text)) {
      const proof = proofOf(statement)
      if (proof?.kind === 'index') names.push(partText(namesIn(proof.index)!.at(-1)!))
      else if (proof) names.push(partText('name' in proof ? proof.name : proof.column))
    }
  return names
}

/** Objects that the hazard names. */
const mostNamed = 30
