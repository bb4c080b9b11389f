import { defineCommand } from '../command.js'
import { explain } from '../operate/explain.js'
import { explanations } from '../render/explanations/index.js'
import { example } from '../render/words/examples.js'
import { worded } from '../render/words/index.js'

export default defineCommand({
  summary: 'explain a finding, a hazard or a check; without a name, list them all',
  example: 'rethread explain QUARANTINED',
  args: '[name]',
  offline: true,
  run: async ({ args, project }) =>
    explain(args[0], {
      checks: () => project().tracks.flatMap(track => track.checks),
      migrations: () => project().tracks.flatMap(track => track.migrations),
      explanations,
      exampleOf: code => worded(example(code)),
    }),
})
