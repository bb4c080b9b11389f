import { scanTokens } from '../files/statements.js'
import { objectsOf } from '../files/track_objects.js'
import type { Hazard } from '../model/plan.js'
import type { Track } from '../model/project.js'

/**
 * What of the objects that changed since the last step belongs to the track, as the hazard that must be
 * allowed by name: tables that it makes or alters and everything on them (the application's own triggers and
 * constraints excepted), functions that it makes, and what it has in `chat_private`. None where nothing of
 * the track has changed. `changed` is what `drifted` found.
 */
export async function driftHazards(track: Track, changed: string[]): Promise<Hazard[]> {
  if (changed.length === 0) return []
  const { tables, touched, functions, internal } = await objectsOf(track)
  const named = await namesOf(track)
  const ours = changed.filter(change => {
    const [, kind, name] = /^. (\w+) (.*)$/s.exec(change)!
    if (kind === 'function') return [...functions, ...internal].some(f => name!.startsWith(`${f}(`))
    if (internal.some(r => name === r || name!.startsWith(`${r}.`))) return true
    // a table, or something that is on it: `public.chats.workspace_id`
    if (tables.some(r => name === r || name!.startsWith(`${r}.`))) return true
    // triggers and constraints of the application, on its own tables: those that fire have a hazard of their
    // own, and a cause of failed rows that somebody took away must not prevent the next try
    const own = kind === 'trigger' || (kind === 'constraint' && !change.startsWith('+'))
    return touched.some(
      r => name === r || (name!.startsWith(`${r}.`) && !(own && !named.has(name!.slice(r.length + 1)))),
    )
  })
  return ours.length === 0
    ? []
    : [{ code: 'IGNORES_DRIFT', subject: track.name, detail: ours.slice(0, mostNamed).join(', ') }]
}

/** Every name that a track's files mention, as the catalog has it. */
async function namesOf(track: Track): Promise<ReadonlySet<string>> {
  const names = new Set<string>()
  for (const m of track.migrations)
    for (const token of await scanTokens(m.file.text))
      if (token.name === 'IDENT' || token.keyword) {
        const quoted = token.text.startsWith('"')
        names.add(quoted ? token.text.slice(1, -1).replaceAll('""', '"') : token.text.toLowerCase())
      }
  return names
}

/** Objects that the hazard names. */
const mostNamed = 30
