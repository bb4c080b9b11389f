#!/usr/bin/env node
import { setFlagsFromString } from 'node:v8'
import { cli } from './cli.js'

// a small nursery: a long backfill makes only short-lived objects, and memory stays low whatever the table's size
setFlagsFromString('--semi-space-growth-factor=1')

process.exitCode = await cli(process.argv.slice(2), process)
// All is said and closed. Should something forgotten keep the process alive, a deploy must not hang on it; by then any
// pipe has taken what was written.
setTimeout(() => process.exit(), 10_000).unref()
