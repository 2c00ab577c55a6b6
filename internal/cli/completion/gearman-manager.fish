# fish completion of gearman-manager. Put this file into ~/.config/fish/completions with
# the name gearman-manager.fish, or have a shell read it:
#   gearman-manager completion fish | source
function __gearman_manager
    set -l words (commandline -opc) (commandline -ct)
    set -l lines ($words[1] complete fish -- $words[2..-1] 2>/dev/null)
    switch $lines[1]
        case files
            __fish_complete_path (string replace -r '^--[^=]*=' '' -- (commandline -ct))
        case dirs
            __fish_complete_directories (string replace -r '^--[^=]*=' '' -- (commandline -ct))
        case '*'
            set -q lines[2]; and printf '%s\n' $lines[2..-1]
    end
end
complete -c gearman-manager -f -a '(__gearman_manager)'
