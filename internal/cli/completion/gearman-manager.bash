# bash completion of gearman-manager. Put this file into a directory for completions,
# such as /etc/bash_completion.d, or have a shell read it:
#   source <(gearman-manager completion bash)
_gearman_manager() {
    local cur=${COMP_WORDS[COMP_CWORD]} kind line
    COMPREPLY=()
    {
        IFS= read -r kind
        while IFS= read -r line; do
            COMPREPLY+=("$(printf '%q' "${line%%$'\t'*}")")
        done
    } < <("${COMP_WORDS[0]}" complete bash -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
    case $kind in
    files)
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "${cur#=}")
        ;;
    dirs)
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -d -- "${cur#=}")
        ;;
    open)
        compopt -o nospace 2>/dev/null
        ;;
    esac
}
complete -F _gearman_manager gearman-manager
