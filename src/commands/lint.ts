import { defineCommand } from '../command.js'
import { choice } from '../model/options.js'
import { lintProject } from '../operate/lint.js'

export default defineCommand({
  summary: 'check the files without a database: names, headers, syntax, statements that cause trouble later',
  example: 'rethread lint --dir db --fail-on warn',
  options: {
    failOn: choice(
      '--fail-on <level>',
      'lowest level that ends with exit code 1: warn or error (default error)',
      ['warn', 'error'],
      'error',
    ),
  },
  offline: true,
  run: async ({ project, trackName, options }) => lintProject(project(), trackName, options.failOn),
})
