import { resolve } from 'node:path'
import { readMap, readMapValues } from '../adapt/mapping.js'
import { defineCommand } from '../command.js'
import { readAnswers } from '../files/answers.js'
import { discover } from '../files/discover.js'
import { Failure, UsageError } from '../model/failure.js'
import { flag, list, repeated, text } from '../model/options.js'
import { checkTrack } from '../operate/check_track.js'
import { init, trackToCopy } from '../operate/init.js'

/** Tracks that are installed with the package must not be overwritten. */
const notHere = 'this folder has the tracks that come with rethread; name one for yours, as in --dir ../chat'

export default defineCommand({
  summary: 'copy a track into your repository, under the names and types of your database',
  example: 'rethread init --track workspace-sessions --map chats=messages',
  options: {
    map: list(
      '--map <names>',
      'your names for the track’s tables and columns: chats=messages,chats.workspace_id=org_id',
    ),
    values: repeated(
      '--map-values <role=values>',
      'what the values of a column mean: chats.role=0:user,1:assistant, or chats.created_at=ms (s, ms, us, iso)',
    ),
    answers: text(
      '--answers <file>',
      'the same as JSON: {"track": ..., "zone": ..., "map": {...}, "values": {...}}',
    ),
    zone: text(
      '--zone <zone>',
      'zone of times that are stored without one, such as UTC (default: that of each connection)',
    ),
    check: flag('--check', 'write nothing: show where the copied track differs from what the database needs'),
  },
  offline: true,
  makesFolder: true,
  mayConnect: true,
  run: async ({ options, trackName, cwd, home, ctx, config, answers: typed }) => {
    const shipped = discover(home).tracks
    const answers = options.answers === null ? null : await readAnswers(resolve(cwd, options.answers))
    const track = trackName ?? answers?.track ?? null
    const said = (word: string) => word.startsWith('zone=')
    const zone = typed.find(said)?.slice('zone='.length) ?? options.zone ?? answers?.zone ?? null
    const to = resolve(cwd, options.dir ?? '.')
    if (to === home) throw new UsageError('init', notHere)
    if (options.check) {
      if (ctx.url === '') throw new Failure('NO_DATABASE_URL', 'database')
      return checkTrack(ctx, trackToCopy(shipped, track), config, zone)
    }
    const mapping = readMap([...(answers?.map ?? []), ...options.map, ...typed.filter(t => !said(t))])
    const values = { ...answers?.values, ...readMapValues(options.values) }
    return init(ctx, { track, shipped, to, cwd, home, mapping, zone, values })
  },
})
