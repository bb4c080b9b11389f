import { relative, resolve } from 'node:path'
import { defineCommand } from '../command.js'
import { supabaseFolder } from '../files/exported.js'
import { backfillExports } from '../files/exported_parts.sql.js'
import { choice, oneOf, text } from '../model/options.js'
import { phases } from '../model/project.js'
import { exportTrack } from '../operate/export_track.js'

export default defineCommand({
  summary: 'write a track as files for another tool: --layout supabase (the default), for `supabase db push`',
  example: 'rethread export --layout supabase --track workspace-sessions',
  options: {
    to: text('--to <folder>', `where its files are (default ${supabaseFolder})`),
    backfills: choice(
      '--backfills <how>',
      'gate (default): a file that raises until `rethread backfill` has done it; inline: one plain statement',
      backfillExports,
    ),
    phase: choice(
      '--phase <phase>',
      'export up to this phase: expand, backfill or contract (default: what the old application survives)',
      phases,
    ),
  },
  offline: true,
  writesLayout: true,
  run: async ({ track, options, cwd, startedAt }) => {
    // there is only one tool so far
    oneOf('--layout', options.layout ?? 'supabase', ['supabase'])
    const to = resolve(cwd, options.to ?? supabaseFolder)
    return exportTrack(await track(), {
      to,
      shown: relative(cwd, to) || '.',
      backfills: options.backfills ?? 'gate',
      phase: options.phase,
      from: startedAt,
    })
  },
})
