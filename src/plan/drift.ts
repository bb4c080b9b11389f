import { objectsOf } from '../files/track_objects.js'
import type { Hazard } from '../model/plan.js'
import type { Track } from '../model/project.js'

/**
 * What of the objects that changed since the last step belongs to the track, as the hazard that must be
 * allowed by name: tables that it makes or alters, everything on them, and functions that it makes. None
 * where nothing of the track has changed. `changed` is what `drifted` found.
 */
export async function driftHazards(track: Track, changed: string[]): Promise<Hazard[]> {
  if (changed.length === 0) return []
  const { tables, touched, functions } = await objectsOf(track)
  const relations = new Set([...tables, ...touched])
  const ours = changed.filter(change => {
    const [, kind, name] = /^. (\w+) (.*)$/s.exec(change)!
    if (kind === 'function') return functions.some(f => name!.startsWith(`${f.replace(/^public\./, '')}(`))
    // a table, or something that is on it: `public.chats.workspace_id`
    return [...relations].some(r => name === r || name!.startsWith(`${r}.`))
  })
  return ours.length === 0
    ? []
    : [{ code: 'IGNORES_DRIFT', subject: track.name, detail: ours.slice(0, mostNamed).join(', ') }]
}

/** Objects that the hazard names. */
const mostNamed = 30
