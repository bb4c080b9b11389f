import { resolve } from 'node:path'
import { defineCommand } from '../command.js'
import { discover, looksLikeProject } from '../files/discover.js'
import { hasStories, newMigration } from '../files/scaffold.js'
import { Failure, UsageError } from '../model/failure.js'
import { finding } from '../model/report.js'
import { shellWord } from '../model/shell_word.js'
import { scaffolded } from '../operate/scaffold.js'

export default defineCommand({
  summary: 'write the three files of a migration, and check that they are found',
  example: 'rethread new add_rating --track workspace-sessions',
  args: '<slug>',
  offline: true,
  makesFolder: true,
  run: async ({ options, trackName, args, cwd, home }) => {
    const root = resolve(cwd, options.dir ?? '.')
    // the tracks of an installed package must not be changed; those of its repository may
    if (root === home && !hasStories(root))
      throw new UsageError(
        'new',
        'this folder is an installed package; name one of yours, as in --dir ../chat',
      )
    const tracks = looksLikeProject(root) ? discover(root, home).tracks : []
    const name = trackName ?? (tracks.length === 1 ? tracks[0]!.name : null)
    if (!name)
      throw new Failure('TRACK_UNCLEAR', 'new', {
        reason: tracks.length > 1 ? 'There are several' : 'Name the one that the migration is for',
        tracks: tracks.map(t => t.name),
        command: null,
        ask: `rethread new ${shellWord(args[0]!)}`,
      })
    if (!/^[a-z][a-z0-9-]*$/.test(name))
      throw new UsageError(`--track ${name}`, 'a track is named in lower-case-with-hyphens')
    const written = newMigration(root, name, args[0]!, tracks)
    return scaffolded('new', written, discover(root, home), name, track => {
      const migration = track.migrations.find(m => written[0]!.endsWith(`/${m.name}.sql`))
      return migration?.rollback ? finding('SEEN', migration.name, { track: name }) : null
    })
  },
})
