import { scanTokens } from '../files/statements.js'
import { objectsOf } from '../files/track_objects.js'
import type { Hazard } from '../model/plan.js'
import type { Track } from '../model/project.js'

/**
 * The objects of the track that changed since the last step, as a hazard that must be allowed by name. They
 * are the tables that the track creates or alters with everything on them, its functions, and its objects
 * in `chat_private`. The application's own triggers and constraints do not count. Empty if nothing has
 * changed. `changed` is the result of `drifted`.
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
    // triggers and constraints of the application on its own tables do not count: triggers that fire have a
    // hazard of their own, and a constraint may have been dropped to fix failed rows before the next try
    const own = kind === 'trigger' || (kind === 'constraint' && !change.startsWith('+'))
    return touched.some(
      r => name === r || (name!.startsWith(`${r}.`) && !(own && !named.has(name!.slice(r.length + 1)))),
    )
  })
  return ours.length === 0
    ? []
    : [{ code: 'IGNORES_DRIFT', subject: track.name, detail: ours.slice(0, mostNamed).join(', ') }]
}

/** Every name that the files of a track mention, as the catalog writes it. */
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

/** Most objects that the hazard names. */
const mostNamed = 30
