/** `completion`: what a shell needs to complete this program's commands and options. */
import { Argument, type Command } from "commander";
import { write } from "../terminal.ts";

const SHELLS = ["bash", "zsh", "fish"] as const;

/** Completes commands, their options, an option's choices, and files elsewhere. */
export function addCompletion(program: Command): void {
  program
    .command("completion")
    .description("print a shell's completion: source <(mpcformer completion bash)")
    .addArgument(new Argument("<shell>", "whose").choices(SHELLS))
    .action((shell: (typeof SHELLS)[number]) => write(scripts[shell](wordsOf(program))));
}

/** A command's name, what it is for, and its options. */
interface Words {
  readonly name: string;
  readonly description: string;
  readonly options: readonly {
    readonly flag: string;
    readonly description: string;
    readonly choices: readonly string[];
  }[];
}

function wordsOf(program: Command): Words[] {
  return program.commands.map((command) => ({
    name: command.name(),
    description: firstWords(command.description()),
    options: command.options
      .filter(({ hidden, long }) => !hidden && long !== undefined && long !== null)
      .map(({ long, description, argChoices }) => ({
        flag: long!,
        description: firstWords(description),
        choices: argChoices ?? [],
      })),
  }));
}

/** Of a description, as much as stands on a line; without what shells read. */
function firstWords(text: string): string {
  return text
    .replace(/[:(;].*$/s, "")
    .replace(/[^\p{L}\p{N} ,.-]/gu, "")
    .trim();
}

const scripts: Readonly<Record<(typeof SHELLS)[number], (commands: readonly Words[]) => string>> = {
  bash: (commands) => `_mpcformer() {
  local word="\${COMP_WORDS[COMP_CWORD]}" before="\${COMP_WORDS[COMP_CWORD-1]}" command="\${COMP_WORDS[1]}" words=""
  if [ "$COMP_CWORD" -eq 1 ]; then words="${commands.map(({ name }) => name).join(" ")}"; else
    case "$command $before" in
${commands.flatMap(({ name, options }) => options.filter(({ choices }) => choices.length > 0).map(({ flag, choices }) => `      "${name} ${flag}") words="${choices.join(" ")}" ;;`)).join("\n")}
      *) case "$command" in
${commands.map(({ name, options }) => `        ${name}) words="${options.map(({ flag }) => flag).join(" ")}" ;;`).join("\n")}
      esac ;;
    esac
  fi
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}
complete -o default -F _mpcformer mpcformer
`,
  zsh: (commands) => `#compdef mpcformer
_mpcformer() {
  if (( CURRENT == 2 )); then
    local -a commands=(${commands.map(({ name, description }) => `'${name}:${description}'`).join(" ")})
    _describe command commands
    return
  fi
  case "$words[2]" in
${commands.map(({ name, options }) => `    ${name}) _arguments ${[...options.map(zshOption), "'*:file:_files'"].join(" ")} ;;`).join("\n")}
  esac
}
compdef _mpcformer mpcformer
`,
  fish: (commands) =>
    commands
      .flatMap(({ name, description, options }) => [
        `complete -c mpcformer -n __fish_use_subcommand -f -a ${name} -d '${description}'`,
        ...options.map(
          ({ flag, description: what, choices }) =>
            `complete -c mpcformer -n '__fish_seen_subcommand_from ${name}' -l ${flag.slice(2)} -d '${what}'${choices.length === 0 ? "" : ` -x -a '${choices.join(" ")}'`}`,
        ),
      ])
      .join("\n")
      .concat("\n"),
};

function zshOption({ flag, description, choices }: Words["options"][number]): string {
  return choices.length === 0 ? `'${flag}[${description}]'` : `'${flag}[${description}]:value:(${choices.join(" ")})'`;
}
