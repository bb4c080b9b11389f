import { relative, resolve } from 'node:path'
import { readMap } from '../adapt/mapping.js'
import { trackRewriter } from '../adapt/rewrite_track.js'
import { defineCommand } from '../command.js'
import { discover } from '../files/discover.js'
import { copyTrack } from '../files/scaffold.js'
import { readTrackInfo } from '../files/track_info.js'
import { Failure, UsageError } from '../model/failure.js'
import { list } from '../model/options.js'
import { finding } from '../model/report.js'
import { scaffolded } from '../operate/scaffold.js'

export default defineCommand({
  summary: 'copy a track into your repository, with your own names, and write the configuration',
  options: {
    map: list(
      '--map <names>',
      'your names for the track’s tables and columns: chats=messages,chats.workspace_id=org_id',
    ),
  },
  offline: true,
  run: async ({ options, trackName, cwd, home }) => {
    const shipped = discover(home).tracks
    const track = shipped.find(t => t.name === trackName)
    if (!track)
      throw new Failure('TRACK_UNCLEAR', trackName ?? 'init', {
        reason: trackName ? 'there is no such track' : 'name the one to copy',
        tracks: shipped.map(t => t.name),
      })
    const to = resolve(cwd, options.dir ?? '.')
    if (to === home) throw new UsageError('init', 'name your own folder: --dir <folder>')
    const map = readMap(options.map)
    const names = Object.keys(map).length
    const { info } = await readTrackInfo(track)
    const rewrite = names === 0 ? null : await trackRewriter(track, info, map)
    const written = await copyTrack(track, to, rewrite, {
      track: track.name,
      ...(names > 0 ? { mapping: map } : {}),
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
