import { relative, resolve } from 'node:path'
import { bindTypes } from '../adapt/bind.js'
import { readMap } from '../adapt/mapping.js'
import { trackRewriter } from '../adapt/rewrite_track.js'
import { defineCommand } from '../command.js'
import { type Context, connect } from '../database/context.js'
import { discover } from '../files/discover.js'
import { copyTrack } from '../files/scaffold.js'
import { readTrackInfo } from '../files/track_info.js'
import { Failure, UsageError } from '../model/failure.js'
import type { Mapping } from '../model/mapping.js'
import { list, text } from '../model/options.js'
import type { Track } from '../model/project.js'
import { finding } from '../model/report.js'
import { scaffolded } from '../operate/scaffold.js'

/** The mapping with the types that the target has. */
async function bound(
  ctx: Context,
  track: Track,
  map: Mapping,
  options: { zone: string | null },
): Promise<Mapping> {
  await using connection = await connect(ctx, 'reader')
  return await bindTypes(connection.sql, track, map, options.zone)
}

export default defineCommand({
  summary: 'copy a track into your repository, with your own names, and write the configuration',
  options: {
    map: list(
      '--map <names>',
      'your names for the track’s tables and columns: chats=messages,chats.workspace_id=org_id',
    ),
    zone: text(
      '--zone <zone>',
      'zone of times that are stored without one, such as UTC (default: that of each connection)',
    ),
  },
  offline: true,
  run: async ({ options, trackName, cwd, home, ctx }) => {
    const shipped = discover(home).tracks
    const track = shipped.find(t => t.name === trackName)
    if (!track)
      throw new Failure('TRACK_UNCLEAR', trackName ?? 'init', {
        reason: trackName ? 'there is no such track' : 'name the one to copy',
        tracks: shipped.map(t => t.name),
      })
    const to = resolve(cwd, options.dir ?? '.')
    if (to === home) throw new UsageError('init', 'name your own folder: --dir <folder>')
    const given = readMap(options.map)
    const map = ctx.url === '' ? given : await bound(ctx, track, given, options)
    const names = Object.keys(given).length
    const { info } = await readTrackInfo(track)
    const rewrite = Object.keys(map).length === 0 ? null : await trackRewriter(track, info, map)
    const written = await copyTrack(track, to, rewrite, {
      track: track.name,
      ...(Object.keys(map).length > 0 ? { mapping: map } : {}),
    })
    return scaffolded('init', written, discover(to, home), track.name, () =>
      finding('COPIED', track.name, {
        to: relative(cwd, to) || '.',
        files: written.length,
        names,
      }),
    )
  },
})
