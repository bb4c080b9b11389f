import { defineCommand } from '../command.js'
import { doctor } from '../operate/doctor.js'

export default defineCommand({
  summary: 'look at target and files without writing, and say how to mend what is missing',
  run: ({ ctx, workspace, trackName, sources }) => doctor(ctx, workspace(), trackName, sources),
})
