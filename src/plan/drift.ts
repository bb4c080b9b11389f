import { proofOf } from '../files/statement_proof.js'
import { parseStatements, scanTokens } from '../files/statements.js'
import { objectsOf } from '../files/track_objects.js'
import type { Hazard } from '../model/plan.js'
import type { Migration, Track } from '../model/project.js'
import { namesIn, partText } from '../model/table_name.js'

/**
 * What of the objects that changed since the last step belongs to the track, as the hazard that must be
 * allowed by name: tables that it makes or alters and everything on them (the application's own triggers and
 * constraints excepted), and functions that it makes. None where nothing of the track has changed. `changed`
 * is what `drifted` found; `resumed` are the steps that an earlier run began and did not finish: their
 * statements may have been the change.
 */
export async function driftHazards(
  track: Track,
  changed: string[],
  resumed: Migration[] = [],
): Promise<Hazard[]> {
  if (changed.length === 0) return []
  const begun = await madeOneByOne(resumed)
  const { tables, touched, functions } = await objectsOf(track)
  const named = await namesOf(track)
  const ours = changed.filter(change => {
    const [, kind, name] = /^. (\w+) (.*)$/s.exec(change)!
    if (begun.some(made => name!.endsWith(`.${made}`))) return false
    if (kind === 'function') return functions.some(f => name!.startsWith(`${f.replace(/^public\./, '')}(`))
    // a table, or something that is on it: `public.chats.workspace_id`
    if (tables.some(r => name === r || name!.startsWith(`${r}.`))) return true
    // triggers and constraints of the application, on its own tables: those that fire have a hazard of their
    // own, and a cause of failed rows that somebody took away must not stand in the way of the next try
    const own = kind === 'trigger' || (kind === 'constraint' && !change.startsWith('+'))
    return touched.some(
      r => name === r || (name!.startsWith(`${r}.`) && !(own && !named.has(name!.slice(r.length + 1)))),
    )
  })
  return ours.length === 0
    ? []
    : [{ code: 'IGNORES_DRIFT', subject: track.name, detail: ours.slice(0, mostNamed).join(', ') }]
}

/** Every name that a track's files mention, as SQL. */
async function namesOf(track: Track): Promise<ReadonlySet<string>> {
  const names = new Set<string>()
  for (const m of track.migrations)
    for (const token of await scanTokens(m.file.text))
      if (token.name === 'IDENT' || token.keyword) {
        const quoted = token.text.startsWith('"')
        names.add(partText(quoted ? token.text.slice(1, -1).replaceAll('""', '"') : token.text.toLowerCase()))
      }
  return names
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
