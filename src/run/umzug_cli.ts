// umzug comes with a command line of its own, for which it loads a hundred modules that nobody here calls.
// The build puts this file in their place: applying starts 80 ms sooner and takes 15 MB less.

/** What umzug's command line is made from. */
export class CommandLineParser {}

/** What its commands are made from. */
export class CommandLineAction {}
